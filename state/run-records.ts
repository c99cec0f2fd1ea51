import type pg from 'pg'
import { recordsOf, STORED_COLUMNS, type Change, type ChangeOp, type ChangeOutcome, type StoredBatch } from './batch-records.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'

/** A key as the caller asked for it: `shown` as answers show it, `bytes` as the run's batches, or the sync's baseline, encode it. */
export interface WantedKey {
  readonly shown: string | readonly string[]
  readonly bytes: Buffer
}

export interface ChangeQuery {
  readonly op?: ChangeOp | undefined
  readonly outcome?: ChangeOutcome | undefined
  readonly key?: WantedKey | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

const BATCHES_A_FETCH = 20
const NUMBER = /^\d{1,18}$/
/** Of an invalid row only its line tells what it would have been. */
const LETTERS: Readonly<Record<ChangeOp, string>> = { added: '[ai]', changed: '[ci]', removed: '[rx]' }
/** Which batches can hold a record of that outcome. */
const CANDIDATES: Readonly<Record<ChangeOutcome, string>> = {
  planned: `b.state in ('planned', 'discarded') and b.phase <> 'invalid'`,
  delivered: `b.state = 'settled' and b.phase <> 'invalid'`,
  skipped: `b.state = 'settled' and b.outcomes is not null`,
  rejected: `b.state = 'settled' and b.outcomes is not null`,
  in_doubt: `b.state in ('planned', 'sending', 'doubt') and b.phase <> 'invalid'`,
  invalid: `b.phase = 'invalid'`,
}

/**
 * The planned records of a run in the plan's order, with what became of them. Decodes only batches that can hold what is asked for.
 * `next` is null on the last page; throws CursorError. Delivery may go on between two pages: an outcome is as of its page.
 */
export async function listChanges(
  db: pg.Pool,
  run: { readonly id: string; readonly keyParts: string | null },
  query: ChangeQuery,
): Promise<{ data: Change[]; next: string | null }> {
  const bytes = query.key && run.keyParts !== null ? query.key.bytes : null
  let [seq, id, index] = (decodeCursor(query.cursor, [NUMBER, NUMBER, NUMBER]) ?? [-1, -1, -1]).map(Number)
  const data: Change[] = []
  for (;;) {
    const { rows } = await db.query<StoredBatch>(
      `select ${STORED_COLUMNS} from batch b join run r on r.id = b.run and r.plan = b.plan
       where b.run = $1 and (b.seq, b.id) >= ($2::int, $3::bigint) and b.state <> 'split'
         and ($4::text is null or b.ops ~ $4) and ${query.outcome ? CANDIDATES[query.outcome] : 'true'}
         and ($5::bytea is null or b.phase = 'invalid' or b.first_key <= $5 and b.last_key >= $5)
       order by b.seq, b.id limit ${BATCHES_A_FETCH}`,
      [run.id, seq, id, query.op ? LETTERS[query.op] : null, bytes],
    )
    for (const batch of rows) {
      const from = batch.seq === seq && Number(batch.id) === id ? (index ?? -1) + 1 : 0
      for (const { index: at, change } of recordsOf(batch)) {
        if (at < from || !matches(change, query)) continue
        if (data.length === query.limit) return { data, next: encodeCursor([String(seq), String(id), String(index)]) }
        data.push(change)
        ;[seq, id, index] = [batch.seq, Number(batch.id), at]
      }
    }
    const last = rows.at(-1)
    if (!last || rows.length < BATCHES_A_FETCH) return { data, next: null }
    ;[seq, id, index] = [last.seq, Number(last.id), last.ops.length]
  }
}

function matches(change: Change, { op, outcome, key }: ChangeQuery): boolean {
  if (op !== undefined && change.op !== op) return false
  if (outcome !== undefined && change.outcome !== outcome) return false
  return key === undefined || sameKey(change.key, key.shown)
}

export function sameKey(key: unknown, wanted: WantedKey['shown']): boolean {
  return JSON.stringify(key) === JSON.stringify(wanted)
}

/** How the keys of a sync's records are made of their columns, such as `int64` or `text,int64`; null before the first plan. */
export async function keyPartsOf(db: pg.Pool, sync: string): Promise<string | null> {
  const { rows } = await db.query<{ parts: string | null }>(
    `select coalesce((select key_parts from sync_state where sync = $1),
       (select key_parts from run where sync = $1 and key_parts is not null order by created_at desc limit 1)) as parts`,
    [sync],
  )
  return rows[0]?.parts ?? null
}
