import { gzipSync } from 'node:zlib'
import pg from 'pg'

/** Batches written down in one transaction. */
export const STAGED_AT_ONCE = 8

/** What the bare script keeps where it is to lose nothing: batches before they are sent, hashes once they were; two tables, no fence. */
export class BareStore {
  readonly #pool: pg.Pool
  #last = 0

  private constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  static async open(url: string, connections: number): Promise<BareStore> {
    const pool = new pg.Pool({ connectionString: url, max: connections })
    await pool.query(`drop table if exists bare_batch, bare_baseline;
      create table bare_batch (id int primary key, payload bytea not null, entries bytea not null, settled boolean not null default false);
      create table bare_baseline (id int primary key, entries bytea not null)`)
    return new BareStore(pool)
  }

  /** Ids of the batches, in order; they are committed. */
  async stage(batches: readonly { readonly body: string; readonly entries: Buffer }[]): Promise<number[]> {
    const ids = batches.map(() => ++this.#last)
    const payloads = batches.map(({ body }) => gzipSync(body, { level: 1 }))
    await this.#pool.query('insert into bare_batch select * from unnest($1::int[], $2::bytea[], $3::bytea[])', [
      ids,
      payloads,
      batches.map(({ entries }) => entries),
    ])
    return ids
  }

  async settle(id: number): Promise<void> {
    await this.#pool.query({
      name: 'settle',
      text: `with b as (update bare_batch set settled = true where id = $1 returning id, entries) insert into bare_baseline select * from b`,
      values: [id],
    })
  }

  close(): Promise<void> {
    return this.#pool.end()
  }
}
