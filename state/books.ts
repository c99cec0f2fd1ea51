import type pg from 'pg'

/** What the books say about one key besides the baseline. Most keys have nothing. */
export interface BookEntry {
  readonly key: Buffer
  /** Last send has an unknown outcome; milliseconds until it may be read back. */
  readonly doubtMs: number | null
  /** Match values under which a record of ours may still live. */
  readonly staleMatches: readonly string[]
  readonly rejection: { readonly fingerprint: Buffer; readonly due: boolean; readonly class: string } | null
}

/** Whether the key's row has to be looked at even if it is unchanged. Rows that could not be sent are found by every plan anew. */
export function mustBeLookedAt({ doubtMs, staleMatches, rejection }: BookEntry): boolean {
  return doubtMs !== null || staleMatches.length > 0 || (rejection !== null && rejection.class !== 'invalid')
}

const PAGE = 2000

/**
 * Doubt, stale match values and rejections of a sync, one entry a key, in key order. The client must be inside the plan's
 * REPEATABLE READ transaction.
 */
export async function* readBooks(client: pg.ClientBase, sync: string): AsyncGenerator<BookEntry> {
  await client.query(
    `declare books no scroll cursor for
     select key, max(doubt_ms) as doubt_ms, array_remove(array_agg(match), null) as matches,
       (array_agg(fingerprint) filter (where fingerprint is not null))[1] as fingerprint,
       bool_or(due) as due, max(class) as class
     from (
       select key, greatest(0, extract(epoch from not_before - clock_timestamp()) * 1000)::float8 as doubt_ms, null::text as match, null::bytea as fingerprint, null::boolean as due, null::text as class
         from doubt where sync = ${client.escapeLiteral(sync)}
       union all
       select key, null, match, null, null, null from stale_match where sync = ${client.escapeLiteral(sync)}
       union all
       select id, null, null, fingerprint, coalesce(next_attempt <= clock_timestamp(), false), class from rejection where sync = ${client.escapeLiteral(sync)}
     ) entries group by key order by key`,
  )
  for (;;) {
    const { rows } = await client.query<{
      key: Buffer
      doubt_ms: number | null
      matches: string[]
      fingerprint: Buffer | null
      due: boolean | null
      class: string | null
    }>(`fetch ${PAGE} from books`)
    for (const row of rows) {
      yield {
        key: row.key,
        doubtMs: row.doubt_ms,
        staleMatches: row.matches,
        rejection: row.fingerprint ? { fingerprint: row.fingerprint, due: row.due === true, class: row.class ?? '' } : null,
      }
    }
    if (rows.length < PAGE) return
  }
}

export async function hasStaleMatches(db: pg.Pool, sync: string): Promise<boolean> {
  const { rows } = await db.query('select 1 from stale_match where sync = $1 limit 1', [sync])
  return rows.length > 0
}
