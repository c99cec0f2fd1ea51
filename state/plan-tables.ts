import type pg from 'pg'

/**
 * Temporary tables of one plan attempt, in its own session: match values by folded hash, and removal candidates. They hold what
 * would not fit into constant memory, and go with the session.
 *
 * Roles: p planned row · h row of the model that is not planned but holds the value.
 */
export interface MatchRow {
  readonly hash: Uint8Array
  readonly key: Buffer
  readonly seq: number
  readonly role: 'p' | 'h'
}

export interface RemovalRow {
  readonly key: Buffer
  readonly match: string | null
  readonly hash: Uint8Array | null
  readonly counted: boolean
  readonly doubtMs: number | null
  readonly renames: boolean
}

export class PlanTables {
  readonly #client: pg.ClientBase

  constructor(client: pg.ClientBase) {
    this.#client = client
  }

  /** Once per session, before anything else. */
  async create(): Promise<void> {
    const client = this.#client
    await client.query(
      `create temporary table plan_match (hash bytea not null, key bytea not null, seq int not null, role "char" not null)`,
    )
    await client.query(
      `create temporary table plan_removal (key bytea not null, match text, hash bytea, counted boolean not null, doubt_ms float8, renames boolean not null)`,
    )
  }

  async addMatches(rows: readonly MatchRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#client.query(
      `insert into plan_match select hash, key, seq, role::"char" from unnest($1::bytea[], $2::bytea[], $3::int[], $4::text[]) as m (hash, key, seq, role)`,
      [rows.map((r) => r.hash), rows.map((r) => r.key), rows.map((r) => r.seq), rows.map((r) => r.role)],
    )
  }

  async addRemovals(rows: readonly RemovalRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#client.query(
      `insert into plan_removal select * from unnest($1::bytea[], $2::text[], $3::bytea[], $4::boolean[], $5::float8[], $6::boolean[])`,
      [
        rows.map((r) => r.key),
        rows.map((r) => r.match),
        rows.map((r) => r.hash),
        rows.map((r) => r.counted),
        rows.map((r) => r.doubtMs),
        rows.map((r) => r.renames),
      ],
    )
  }

  /** Planned rows whose match value another row of the model has too. */
  async sharedMatches(): Promise<{ key: Buffer; seq: number }[]> {
    const { rows } = await this.#client.query<{ key: Buffer; seq: number }>(
      `select m.key, m.seq from plan_match m
       join (select hash from plan_match group by hash having count(*) > 1 and count(distinct key) > 1) s using (hash)
       where m.role = 'p' order by m.seq`,
    )
    return rows
  }

  /**
   * Batches with a row whose match value another key has in doubt: that key's lost request may still write the record, so they wait
   * for it and look first. Milliseconds from when the plan looked.
   */
  async heirsOfDoubt(): Promise<{ seq: number; waitMs: number }[]> {
    const { rows } = await this.#client.query<{ seq: number; waitMs: number }>(
      `select m.seq, max(r.doubt_ms) as "waitMs" from plan_match m join plan_removal r on r.hash = m.hash and r.key <> m.key
       where m.role = 'p' and r.doubt_ms is not null group by m.seq`,
    )
    return rows
  }

  /** Drops the candidates whose match value some row of the model holds. */
  async dropHeldRemovals(): Promise<void> {
    await this.#client.query('delete from plan_removal r using plan_match m where m.hash = r.hash')
  }

  /** Removals of old match values whose row will not be sent. */
  async dropRenamesOf(keys: readonly Buffer[]): Promise<void> {
    await this.#client.query('delete from plan_removal where renames and key = any($1::bytea[])', [keys])
  }

  /** What is left to remove, in key order, `page` rows at a time. */
  async *removals(page: number): AsyncGenerator<RemovalRow[]> {
    await this.#client.query('begin')
    await this.#client.query(
      'declare removals no scroll cursor for select key, match, counted, doubt_ms, renames from plan_removal order by key, counted desc, match',
    )
    for (;;) {
      const { rows } = await this.#client.query<{
        key: Buffer
        match: string | null
        counted: boolean
        doubt_ms: number | null
        renames: boolean
      }>(`fetch ${page} from removals`)
      if (rows.length > 0)
        yield rows.map((r) => ({ key: r.key, match: r.match, hash: null, counted: r.counted, doubtMs: r.doubt_ms, renames: r.renames }))
      if (rows.length < page) break
    }
    await this.#client.query('commit')
  }
}
