import type pg from 'pg'
import { decodeCursor, encodeCursor } from './cursor.ts'

/** A record that the destination refuses or that never passed our checks. `key` is a row value. */
export interface Rejection {
  readonly key: unknown
  readonly op: string
  readonly field: string | null
  readonly class: string
  readonly code: string
  readonly message: string
  readonly attempts: number
  readonly run: string
  readonly firstAt: string
  readonly lastAt: string
  /** Null: it waits for a new version of the row or for a person. */
  readonly nextAttempt: string | null
}

type Selected = Omit<Rejection, 'firstAt' | 'lastAt' | 'nextAttempt'> & {
  readonly id: Buffer
  readonly firstAt: Date
  readonly lastAt: Date
  readonly nextAttempt: Date | null
}

const SELECT = `select id, key, op, field, class, code, message, attempts, run, first_at as "firstAt", last_at as "lastAt",
  next_attempt as "nextAttempt" from rejection`

/** A sync's rejections in key order. `next` is null on the last page; throws CursorError. */
export async function listRejections(
  db: pg.Pool,
  query: { readonly sync: string; readonly limit: number; readonly cursor?: string | undefined },
): Promise<{ data: Rejection[]; next: string | null }> {
  const [after] = decodeCursor(query.cursor, [/^([0-9a-f]{2})*$/]) ?? [null]
  const { rows } = await db.query<Selected>(
    `${SELECT} where sync = $1 and ($2::text is null or id > decode($2, 'hex')) order by id limit $3`,
    [query.sync, after, query.limit + 1],
  )
  const last = rows.length > query.limit ? rows[query.limit - 1] : undefined
  return { data: rows.slice(0, query.limit).map(toRejection), next: last ? encodeCursor([last.id.toString('hex')]) : null }
}

/** The rejection of one key, given as answers show it; null: there is none. */
export async function rejectionOf(db: pg.Pool, sync: string, key: string | readonly string[]): Promise<Rejection | null> {
  const { rows } = await db.query<Selected>(`${SELECT} where sync = $1 and key = $2::jsonb order by last_at desc limit 1`, [
    sync,
    JSON.stringify(key),
  ])
  return rows[0] ? toRejection(rows[0]) : null
}

/** Makes rejections due in the next run: all of a sync's, or those of one key. How many. Repeatable. */
export async function retryRejections(db: pg.Pool, sync: string, key: string | readonly string[] | null): Promise<number> {
  const { rowCount } = await db.query(
    'update rejection set next_attempt = clock_timestamp() where sync = $1 and ($2::jsonb is null or key = $2::jsonb)',
    [sync, key === null ? null : JSON.stringify(key)],
  )
  return rowCount ?? 0
}

function toRejection(row: Selected): Rejection {
  const { key, op, field, class: kind, code, message, attempts, run } = row
  const times = {
    firstAt: row.firstAt.toISOString(),
    lastAt: row.lastAt.toISOString(),
    nextAttempt: row.nextAttempt?.toISOString() ?? null,
  }
  return { key, op, field, class: kind, code, message, attempts, run, ...times }
}
