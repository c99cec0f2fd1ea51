import type pg from 'pg'

/**
 * Temporary tables of one plan attempt, in its own session: match values by folded hash, and removal candidates. They hold what
 * would not fit into constant memory, and go with the session.
 *
 * Roles: p planned row · h row of the model that is not planned but holds the value · a the same, and the destination has acknowledged it.
 */
export interface MatchRow {
  readonly hash: Uint8Array
  readonly key: Buffer
  readonly seq: number
  readonly role: 'p' | 'h' | 'a'
}

export interface RemovalRow {
  readonly key: Buffer
  readonly match: string | null
  readonly hash: Uint8Array | null
  readonly counted: boolean
  readonly doubtMs: number | null
  readonly renames: boolean
}

/** A lost request of the key may still write under the match value. */
export interface DoubtRow {
  readonly hash: Uint8Array
  readonly key: Buffer
  /** Milliseconds until it cannot any more, from when the plan looked. */
  readonly waitMs: number
}

/** A baseline entry that may have to end. Null as hash: it has to, whoever holds its match value. */
export interface EndingRow {
  readonly hash: Uint8Array | null
  readonly key: Buffer
  readonly match: string | null
}

/** What a key that left, or took another match value, has no claim on any more: the row that has it now is acknowledged. */
export interface TakenOver {
  readonly key: Buffer
  readonly match: string
  /** Nothing of the key is in doubt any more and no record of it is left to remove. */
  readonly certain: boolean
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
    await client.query(`create temporary table plan_doubt (hash bytea not null, key bytea not null, wait_ms float8 not null)`)
    await client.query(`create temporary table plan_ending (hash bytea, key bytea not null, match text)`)
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

  async addDoubts(rows: readonly DoubtRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#client.query(`insert into plan_doubt select * from unnest($1::bytea[], $2::bytea[], $3::float8[])`, [
      rows.map((r) => r.hash),
      rows.map((r) => r.key),
      rows.map((r) => r.waitMs),
    ])
  }

  async addEndings(rows: readonly EndingRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#client.query(`insert into plan_ending select * from unnest($1::bytea[], $2::bytea[], $3::text[])`, [
      rows.map((r) => r.hash),
      rows.map((r) => r.key),
      rows.map((r) => r.match),
    ])
  }

  /** Takes back planned rows whose match value another row of the model has too; they only hold it from here on. */
  async takeBackShared(): Promise<{ key: Buffer; seq: number }[]> {
    const { rows } = await this.#client.query<{ key: Buffer; seq: number }>(
      `with shared as (
         update plan_match m set role = 'h'
         from (select hash from plan_match group by hash having count(*) > 1 and count(distinct key) > 1) s
         where s.hash = m.hash and m.role = 'p' returning m.key, m.seq
       )
       select key, seq from shared order by seq, key`,
    )
    return rows
  }

  /**
   * Batches with a row whose match value another key has in doubt: that key's lost request may still write the record, so they wait
   * for it and look first. Milliseconds from when the plan looked.
   */
  async heirsOfDoubt(): Promise<{ seq: number; waitMs: number }[]> {
    const { rows } = await this.#client.query<{ seq: number; waitMs: number }>(
      `select m.seq, max(d.wait_ms) as "waitMs" from plan_match m join plan_doubt d on d.hash = m.hash and d.key <> m.key
       where m.role = 'p' group by m.seq`,
    )
    return rows
  }

  /** Entries whose match value another row has taken over or is about to, in key order: what they say is not there is not theirs. */
  async endings(): Promise<{ key: Buffer; match: string | null }[]> {
    const { rows } = await this.#client.query<{ key: Buffer; match: string | null }>(
      `select distinct on (e.key) e.key, e.match from plan_ending e
       where e.hash is null or exists (select 1 from plan_match m where m.hash = e.hash and m.role <> 'h' and m.key <> e.key)
       order by e.key`,
    )
    return rows
  }

  /** Drops the candidates whose match value some row of the model holds; gives those that need not be thought of again. */
  async dropHeldRemovals(): Promise<TakenOver[]> {
    const { rows } = await this.#client.query<TakenOver>(
      `with held as (
         select hash, bool_or(role = 'a') as acknowledged from plan_match where hash in (select hash from plan_removal) group by hash
       ), dropped as (
         delete from plan_removal r using held h where h.hash = r.hash returning r.key, r.match, r.renames, r.doubt_ms, h.acknowledged
       )
       select d.key, d.match, not exists (select 1 from plan_removal r where r.key = d.key
         and not exists (select 1 from held h where h.hash = r.hash and h.acknowledged)) as certain
       from dropped d where d.acknowledged and not d.renames and coalesce(d.doubt_ms, 0) = 0`,
    )
    return rows
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
