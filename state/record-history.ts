import type pg from 'pg'
import { recordsOf, STORED_COLUMNS, type Change, type StoredBatch } from './batch-records.ts'
import { sameKey, type WantedKey } from './run-records.ts'
import { SegmentCursor } from './segment.ts'

export interface RecordHistory {
  /** What the destination acknowledged last; null: nothing, or its removal. */
  readonly acknowledged: {
    readonly fingerprint: string
    readonly run: string | null
    readonly at: string | null
    readonly fields: unknown
  } | null
  readonly inDoubt: boolean
  /** Every run that planned it, newest first, within retention. */
  readonly runs: readonly (Omit<Change, 'key'> & { readonly run: string; readonly at: string | null })[]
}

const MOST_TOUCHES = 1000

type Touch = StoredBatch & { readonly sentAt: Date | null }

/** What happened to one record of a sync. Values as in the runs' changes. */
export async function recordHistory(db: pg.Pool, sync: string, key: WantedKey): Promise<RecordHistory> {
  const { rows } = await db.query<Touch>(
    `select ${STORED_COLUMNS}, b.sent_at as "sentAt"
     from run r join batch b on b.run = r.id and b.plan = r.plan
     where r.sync = $1 and b.state <> 'split' and (b.phase = 'invalid' or b.first_key <= $2 and b.last_key >= $2)
     order by r.created_at desc, r.id desc, b.seq desc, b.id desc limit ${MOST_TOUCHES}`,
    [sync, key.bytes],
  )
  const runs = rows.flatMap((batch) =>
    recordsOf(batch)
      .filter(({ change }) => sameKey(change.key, key.shown))
      .map(({ change: { op, fields, outcome, batch: name, error } }) => ({
        run: batch.run,
        at: batch.sentAt?.toISOString() ?? null,
        op,
        fields,
        outcome,
        batch: name,
        error,
      })),
  )
  const fingerprint = await acknowledgedFingerprint(db, sync, key.bytes)
  const last = runs.find(({ op, outcome }) => op !== 'removed' && (outcome === 'delivered' || outcome === 'skipped'))
  const doubt = await db.query('select 1 from doubt where sync = $1 and key = $2', [sync, key.bytes])
  return {
    acknowledged: fingerprint === null ? null : { fingerprint, run: last?.run ?? null, at: last?.at ?? null, fields: last?.fields ?? null },
    inDoubt: doubt.rowCount === 1 || runs.some(({ outcome, run }) => outcome === 'in_doubt' && run === runs[0]?.run),
    runs,
  }
}

/** Of the baseline's segments that span the key the newest one that holds it has the word. */
async function acknowledgedFingerprint(db: pg.Pool, sync: string, key: Buffer): Promise<string | null> {
  const { rows } = await db.query<{ entries: Buffer }>(
    `select b.entries from baseline_segment b join sync_state s on s.sync = b.sync and s.generation = b.generation
     where b.sync = $1 and b.first_key <= $2 and b.last_key >= $2 order by b.seq desc`,
    [sync, key],
  )
  for (const { entries } of rows) {
    const cursor = new SegmentCursor(entries)
    while (cursor.next()) if (cursor.key.equals(key)) return cursor.removed ? null : cursor.fingerprint.toString('hex')
  }
  return null
}
