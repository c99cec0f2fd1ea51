import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { packLines } from '../../activities/plan/batch.ts'
import { openDatabase } from '../../state/database.ts'
import { activateRun } from '../../state/fence.ts'
import { claimBatch, openBatches, releaseBatch, renewClaim, type ClaimedBatch } from '../../state/ledger.ts'
import { migrate } from '../../state/migrate.ts'
import { endRun } from '../../state/run-row.ts'
import { SegmentWriter, type PackedSegment } from '../../state/segment.ts'
import { settleBatch, splitBatch, type ChildBatch, type Settlement } from '../../state/settle.ts'
import { publishPlan, stageBatches, type PlanBooks, type PlannedBaseline, type StagedBatch } from '../../state/staging.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { eventually } from '../harness/eventually.ts'

export const ACCOUNT = 'account'
export const NO_BOOKS: PlanBooks = { invalid: [], settledRejections: [], renamed: [], currentAgain: [], certain: [] }
/** What a plan says of the baseline that `activate` leaves. */
export const BASELINE: PlannedBaseline = { generation: 1, keyParts: 'text', lapses: [] }

/** A migrated state database of its own. */
export async function openState(): Promise<TestDatabase> {
  const db = await freshDatabase()
  await migrate(db.pool)
  return db
}

let syncs = 0
/** A sync that no other test of the file has. */
export const newSync = (): string => `sync-${++syncs}`

export interface RunOptions {
  readonly dryRun?: boolean
  /** Null: the destination cannot be read back. */
  readonly settleAfterMs?: number | null
  readonly generation?: number
  /** Whose records it is about. */
  readonly baselineId?: string
}

export const RECORDS = 'records'

/** For a destination that cannot be read back. */
export const WEBHOOK: RunOptions = { settleAfterMs: null }

/** A run that takes the sync's active place, as if the one before had been terminated in Temporal. */
export async function newRun(
  db: pg.Pool,
  sync: string,
  { dryRun = false, settleAfterMs = 1000, generation = 1, baselineId = RECORDS }: RunOptions = {},
): Promise<string> {
  const id = randomUUID()
  const older = await db.query<{ id: string }>(`select id from run where sync = $1 and slot = 'active'`, [sync])
  for (const { id: run } of older.rows)
    await endRun(db, { run, sync, outcome: 'failed', error: { code: 'terminated', message: '' }, waiting: null, mappingId: null })
  await db.query(
    `insert into run (id, sync, slot, trigger, dry_run, definition, generation) values ($1, $2, 'active', 'test', $3, $4, $5)`,
    [id, sync, dryRun, JSON.stringify({ settleAfterMs, baselineId }), generation],
  )
  return id
}

export async function activate(
  db: pg.Pool,
  run: string,
  sync: string,
  kind: 'delivers' | 'adopts' | 'looks' = 'delivers',
  baselineId = RECORDS,
) {
  const activated = await activateRun(db, { run, sync, kind, baselineId })
  assert.ok(activated, 'the run is the one to go')
  await db.query('update sync_state set generation = greatest(generation, 1) where sync = $1', [sync])
  return activated
}

/** Entries in key order; the fingerprint is sixteen times the number, 0 for a removal. */
export function pack(records: Readonly<Record<string, number | { fingerprint: number; match: string }>>): PackedSegment {
  const all = Object.entries(records)
  const writer = new SegmentWriter(typeof all[0]?.[1] === 'object')
  for (const [key, record] of all) {
    const [fingerprint, match] = typeof record === 'number' ? [record, null] : [record.fingerprint, record.match]
    writer.add(Buffer.from(key), Buffer.alloc(16, fingerprint), match)
  }
  const packed = writer.take()
  assert.ok(packed)
  return packed
}

export function staged(seq: number, records: Parameters<typeof pack>[0], more: Partial<StagedBatch> = {}): StagedBatch {
  const packed = pack(records)
  const lines = Object.keys(records).map((key) => JSON.stringify({ id: key, op: 'upsert', key, fields: {} }))
  const phase = more.phase ?? 'upsert'
  const ops = (phase === 'remove' ? 'r' : 'a').repeat(packed.size)
  return { ...packed, seq, phase, ops, payload: packLines(lines), doubtful: false, onBooks: false, waitMs: 0, affinity: null, ...more }
}

export async function publish(
  db: pg.Pool,
  {
    run,
    sync,
    batches,
    plan = randomUUID(),
    books = NO_BOOKS,
    dryRun = false,
  }: { run: string; sync: string; batches: readonly StagedBatch[]; plan?: string; books?: PlanBooks; dryRun?: boolean },
): Promise<boolean> {
  await stageBatches(db, run, plan, batches)
  const counts = { read: 0, unchanged: 0, added: 0, changed: 0, removed: 0, retried: 0, invalid: 0 }
  const published = { plan, counts, upsertBatches: batches.length, removeBatches: 0, holds: [], bulk: [] }
  return publishPlan(db, { run, sync, published, books, baseline: BASELINE, dryRun, beganAt: new Date() })
}

/** A sync with an active run and a published plan of these batches. */
export async function published(db: pg.Pool, batches: readonly StagedBatch[], options: RunOptions = {}) {
  const sync = newSync()
  const run = await newRun(db, sync, options)
  await activate(db, run, sync)
  assert.ok(await publish(db, { run, sync, batches }))
  return { sync, run, ids: await batchIds(db, run) }
}

export async function batchIds(db: pg.Pool, run: string): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from batch where run = $1 order by seq, id', [run])
  return rows.map(({ id }) => id)
}

export const allOpen = (db: pg.Pool, run: string) => openBatches(db, { run, phase: 'upsert', fromSeq: 0, toSeq: 1000 })

export async function claim(db: pg.Pool, id: number, attempt = 0): Promise<ClaimedBatch> {
  const claimed = await claimBatch(db, { id, attempt }, ACCOUNT)
  assert.ok(claimed, 'claimed')
  return claimed
}

/** Everything delivered, nothing else. */
export function settlement(sync: string, batch: { id: number; attempt: number }, more: Partial<Settlement> = {}): Settlement {
  return {
    id: batch.id,
    attempt: batch.attempt,
    sync,
    generation: 1,
    delivered: 1,
    skipped: 0,
    rejected: 0,
    acknowledged: 'all',
    outcomes: null,
    rejections: [],
    closed: { keys: [], matches: [] },
    child: null,
    ...more,
  }
}

/** Everything that the ledger's statements could touch, to see that nothing was. */
export async function snapshot(db: pg.Pool, sync: string): Promise<unknown> {
  const tables = {
    batch: `select b.* from batch b join run r on r.id = b.run where r.sync = $1 order by b.id`,
    baseline: `select * from baseline_segment where sync = $1 order by generation, first_key, seq`,
    doubt: 'select * from doubt where sync = $1 order by key',
    stale: 'select * from stale_match where sync = $1 order by key, match',
    rejection: 'select * from rejection where sync = $1 order by id',
    state: 'select * from sync_state where sync = $1',
  }
  const found: Record<string, unknown> = {}
  for (const [name, sql] of Object.entries(tables)) found[name] = (await db.query(sql, [sync])).rows
  return found
}

/** A run's batches, in order. */
export const states = async (db: pg.Pool, run: string) =>
  (await db.query<{ state: string; heir: string | null }>('select state, heir from batch where run = $1 order by seq, id', [run])).rows
export const stateNames = async (db: pg.Pool, run: string) => (await states(db, run)).map(({ state }) => state)

/** Keys in doubt, and for how many milliseconds they have to be left alone. */
export const doubts = async (db: pg.Pool, sync: string) =>
  (
    await db.query<{ key: Buffer; ms: number }>(
      'select key, extract(epoch from not_before - clock_timestamp())::float8 * 1000 as ms from doubt where sync = $1 order by key',
      [sync],
    )
  ).rows.map(({ key, ms }) => ({ key: key.toString(), ms }))

/** A pool of one connection inside a transaction: what runs on it is not committed until `commit`. */
export async function inFlight(db: TestDatabase): Promise<{ pool: pg.Pool; commit(): Promise<void> }> {
  const pool = openDatabase(db.url, { max: 1 })
  await pool.query('begin')
  return {
    pool,
    async commit() {
      await pool.query('commit')
      await pool.end()
    },
  }
}

/** Waits until so many sessions of the database wait for a lock. */
export async function blocked(db: pg.Pool, count = 1): Promise<void> {
  await eventually(`${count} sessions that wait for a lock`, async () => {
    const { rows } = await db.query<{ n: number }>(
      `select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return (rows[0]?.n ?? 0) >= count
  })
}

/** What lives on of a batch, as the settle or split that makes it is told. */
export const child = (records: Parameters<typeof pack>[0], more: Partial<ChildBatch> = {}): ChildBatch => {
  const packed = pack(records)
  return { ...packed, ops: 'a'.repeat(packed.size), payload: packLines(Object.keys(records)), doubtful: false, waitMs: 0, ...more }
}

/** Every way to change a batch, as a worker that believes in `batch` would call it. */
const statements = (db: pg.Pool, sync: string, batch: { id: number; attempt: number }) => ({
  claim: () => claimBatch(db, batch, ACCOUNT),
  renew: () => renewClaim(db, batch),
  release: () => releaseBatch(db, batch, { applied: 'no', waitMs: 0 }),
  doubt: () => releaseBatch(db, batch, { applied: 'unknown', waitMs: 0 }),
  settle: () => settleBatch(db, settlement(sync, batch)),
  settleParts: () =>
    settleBatch(
      db,
      settlement(sync, batch, { acknowledged: pack({ a: 1 }), closed: { keys: [Buffer.from('a')], matches: [] }, child: child({ b: 1 }) }),
    ),
  split: () => splitBatch(db, batch, [child({ a: 1 }), child({ b: 1 })]),
})

export async function nothingChanges(
  db: pg.Pool,
  sync: string,
  batch: { id: number; attempt: number },
  only?: readonly string[],
): Promise<void> {
  const before = await snapshot(db, sync)
  for (const [name, statement] of Object.entries(statements(db, sync, batch))) {
    if (only && !only.includes(name)) continue
    assert.ok(!(await statement()), `${name} says that it did nothing`)
    assert.deepEqual(await snapshot(db, sync), before, `${name} changed something`)
  }
}
/** Those that need a claim. */
export const CLAIMED = ['renew', 'release', 'doubt', 'settle', 'settleParts', 'split']
