import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { claimBatch, inheritedBatches, isActive, outcomeTotals, releaseBatch, renewClaim } from '../../state/ledger.ts'
import { pauseAccount } from '../../state/budget.ts'
import { endRun } from '../../state/run-row.ts'
import { unpack } from '../../state/segment.ts'
import { settleBatch, splitBatch, type ChildBatch, type NewRejection } from '../../state/settle.ts'
import { packLines } from '../../activities/plan/batch.ts'
import type { TestDatabase } from '../harness/database.ts'
import { ACCOUNT, activate, allOpen, batchIds, claim, newRun, openState, pack, published, settlement, snapshot, staged } from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

const child = (records: Parameters<typeof pack>[0], more: Partial<ChildBatch> = {}): ChildBatch => {
  const packed = pack(records)
  return { ...packed, ops: 'a'.repeat(packed.size), payload: packLines(Object.keys(records)), doubtful: false, waitMs: 0, ...more }
}

/** Every way to change a batch, as a worker that believes in `batch` would call it. */
const statements = (sync: string, batch: { id: number; attempt: number }) => ({
  claim: () => claimBatch(db.pool, batch, ACCOUNT),
  renew: () => renewClaim(db.pool, batch),
  release: () => releaseBatch(db.pool, batch, { applied: 'no', waitMs: 0 }),
  doubt: () => releaseBatch(db.pool, batch, { applied: 'unknown', waitMs: 0 }),
  settle: () => settleBatch(db.pool, settlement(sync, batch)),
  settleParts: () =>
    settleBatch(db.pool, settlement(sync, batch, { acknowledged: pack({ a: 1 }), closed: { keys: [Buffer.from('a')], matches: [] }, child: child({ b: 1 }) })),
  split: () => splitBatch(db.pool, batch, [child({ a: 1 }), child({ b: 1 })]),
})

async function nothingChanges(sync: string, batch: { id: number; attempt: number }, only?: readonly string[]): Promise<void> {
  const before = await snapshot(db.pool, sync)
  for (const [name, statement] of Object.entries(statements(sync, batch))) {
    if (only && !only.includes(name)) continue
    assert.ok(!(await statement()), `${name} says that it did nothing`)
    assert.deepEqual(await snapshot(db.pool, sync), before, `${name} changed something`)
  }
}
const CLAIMED = ['renew', 'release', 'doubt', 'settle', 'settleParts', 'split']

test('another run is active: nothing of the old one has an effect, claimed or not', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1 })])
  const [first = 0, second = 0] = ids
  const claimed = await claim(db.pool, first)
  // Only the swap, not the closing of batches: the fence alone has to hold.
  await db.pool.query('update sync_state set active_run = gen_random_uuid() where sync = $1', [sync])
  await nothingChanges(sync, claimed)
  await nothingChanges(sync, { id: second, attempt: 0 })
  await db.pool.query('update sync_state set active_run = null where sync = $1', [sync])
  await nothingChanges(sync, claimed)
})

test('the run has ended: nothing of it has an effect, even while it is named as active', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1 })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  await endRun(db.pool, { run, sync, outcome: 'cancelled', error: null, waiting: null, mappingId: null })
  assert.equal(await isActive(db.pool, run), false)
  await nothingChanges(sync, claimed)
  await db.pool.query('update sync_state set active_run = $2 where sync = $1', [sync, run])
  assert.equal(await isActive(db.pool, run), false)
  await nothingChanges(sync, claimed)
  await nothingChanges(sync, { id: ids[1] ?? 0, attempt: 0 })
})

test('a dry run’s plan can never be claimed', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 })], { dryRun: true })
  await nothingChanges(sync, { id: ids[0] ?? 0, attempt: 0 })
})

test('an attempt that is one off, before or after, changes nothing', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 })])
  const [id = 0] = ids
  await nothingChanges(sync, { id, attempt: -1 })
  await nothingChanges(sync, { id, attempt: 1 })
  await nothingChanges(sync, { id, attempt: 0 }, CLAIMED)
  const claimed = await claim(db.pool, id)
  assert.equal(claimed.attempt, 1)
  await nothingChanges(sync, { id, attempt: 0 })
  await nothingChanges(sync, { id, attempt: 2 })
  const again = await claim(db.pool, id, 1)
  assert.equal(again.attempt, 2)
  await nothingChanges(sync, claimed)
})

test('what is settled or split stays so', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1, d: 1 })])
  const [first = 0, second = 0] = ids
  const settled = await claim(db.pool, first)
  assert.ok(await settleBatch(db.pool, settlement(sync, settled)))
  await nothingChanges(sync, settled)
  const divided = await claim(db.pool, second)
  assert.ok(await splitBatch(db.pool, divided, [child({ c: 1 }), child({ d: 1 })]))
  await nothingChanges(sync, divided)
})

test('nothing is claimed while the account has to be quiet', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1 })])
  await pauseAccount(db.pool, 'quiet', 60_000, 'told to wait')
  const before = await snapshot(db.pool, sync)
  assert.equal(await claimBatch(db.pool, { id: ids[0] ?? 0, attempt: 0 }, 'quiet'), null)
  assert.deepEqual(await snapshot(db.pool, sync), before)
  assert.ok(await claimBatch(db.pool, { id: ids[0] ?? 0, attempt: 0 }, 'another account'))
})

test('many workers want one batch: one gets it', async () => {
  const { ids } = await published(db.pool, [staged(0, { a: 1 })])
  const got = await Promise.all(Array.from({ length: 10 }, () => claimBatch(db.pool, { id: ids[0] ?? 0, attempt: 0 }, ACCOUNT)))
  assert.equal(got.filter(Boolean).length, 1)
})

test('given back as not applied: it is as before, ready when the wait is over', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  assert.ok(await releaseBatch(db.pool, claimed, { applied: 'no', waitMs: 60_000 }))
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.state, open?.doubtful, open?.attempt, open?.abandoned], ['planned', false, 1, false])
  assert.ok((open?.waitMs ?? 0) > 50_000 && (open?.waitMs ?? 0) <= 60_000)
})

test('given back with an unknown outcome: it is in doubt, and stays so until it is settled', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  assert.ok(await releaseBatch(db.pool, claimed, { applied: 'unknown', waitMs: 60_000 }))
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.state, open?.doubtful, open?.abandoned], ['sending', true, false])
  assert.ok((open?.waitMs ?? 0) > 50_000)
  const again = await claim(db.pool, claimed.id, 1)
  assert.ok(await releaseBatch(db.pool, again, { applied: 'no', waitMs: 0 }))
  const [later] = await allOpen(db.pool, run)
  assert.deepEqual([later?.state, later?.doubtful], ['planned', true], 'the second try ended well; the first is still unknown')
})

// A worker died in mid-request; the next one claimed the batch, was throttled before it could look, and gave it back as "not
// applied". The doubt was lost with it: the third try would have sent without looking, or a new run would have thrown it away.
test('a batch that a dead worker left is in doubt from its next claim on, however that one ends', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  await claim(db.pool, ids[0] ?? 0)
  const [left] = await allOpen(db.pool, run)
  assert.deepEqual([left?.state, left?.doubtful, left?.abandoned], ['sending', false, true])
  const second = await claim(db.pool, ids[0] ?? 0, 1)
  assert.equal(second.doubtful, true)
  assert.ok(await releaseBatch(db.pool, second, { applied: 'no', waitMs: 0 }))
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.state, open?.doubtful], ['planned', true])
})

// A batch in doubt was claimed again and that worker died too: it looked like one that had been given back, so nobody waited
// until the second request could no longer take effect.
test('a dead worker is told apart from one that gave a doubtful batch back', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  const first = await claim(db.pool, ids[0] ?? 0)
  await releaseBatch(db.pool, first, { applied: 'unknown', waitMs: 0 })
  assert.equal((await allOpen(db.pool, run))[0]?.abandoned, false)
  await claim(db.pool, first.id, 1)
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.state, open?.doubtful, open?.abandoned], ['sending', true, true])
  assert.ok((open?.sentAgoMs ?? -1) >= 0)
})

test('settling moves outcome, baseline, rejections, doubt and child together', async () => {
  const { sync, run, ids } = await published(db.pool, [
    staged(0, { a: { fingerprint: 1, match: 'a@x' }, b: { fingerprint: 2, match: 'b@x' }, c: { fingerprint: 3, match: 'c@x' } }),
  ])
  const key = (text: string) => Buffer.from(text)
  for (const text of ['a', 'b', 'z']) {
    await db.pool.query(`insert into doubt values ($1, $2, clock_timestamp())`, [sync, key(text)])
    await db.pool.query(`insert into stale_match values ($1, $2, $3)`, [sync, key(text), `${text}@x`])
  }
  await db.pool.query(
    `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ($1, $2, '"a"', 'upsert', $3, 'data', 'OLD', '', $4)`,
    [sync, key('a'), Buffer.alloc(16, 9), run],
  )
  const claimed = await claim(db.pool, ids[0] ?? 0)
  const done = await settleBatch(
    db.pool,
    settlement(sync, claimed, {
      delivered: 1,
      rejected: 1,
      acknowledged: pack({ a: { fingerprint: 1, match: 'a@x' } }),
      outcomes: { 1: { outcome: 'rejected', code: 'BAD', message: 'no' }, 2: { outcome: 'child' } },
      rejections: [refusal('b', 2)],
      closed: { keys: [key('a')], matches: [{ key: key('a'), match: 'a@x' }] },
      child: child({ c: { fingerprint: 3, match: 'c@x' } }, { doubtful: true, waitMs: 60_000 }),
    }),
  )
  assert.ok(done)
  const { rows: batches } = await db.pool.query('select state, delivered, rejected, outcomes from batch where id = $1', [claimed.id])
  assert.deepEqual(batches, [
    { state: 'settled', delivered: 1, rejected: 1, outcomes: { 1: { outcome: 'rejected', code: 'BAD', message: 'no' }, 2: { outcome: 'child' } } },
  ])
  const { rows: segments } = await db.pool.query<{ entries: Buffer }>('select entries from baseline_segment where sync = $1', [sync])
  assert.deepEqual(
    segments.flatMap(({ entries }) => unpack(entries).map((e) => [e.key.toString(), e.match])),
    [['a', 'a@x']],
  )
  const keys = async (sql: string) => (await db.pool.query<{ key: Buffer }>(sql, [sync])).rows.map((row) => row.key.toString())
  assert.deepEqual(await keys('select id as key from rejection where sync = $1'), ['b'], 'what was delivered is owed no more')
  assert.deepEqual(await keys('select key from doubt where sync = $1 order by key'), ['b', 'z'])
  assert.deepEqual(await keys('select key from stale_match where sync = $1 order by key'), ['b', 'z'])
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.size, open?.doubtful, open?.state, open?.attempt], [1, true, 'planned', 0])
  assert.ok((open?.waitMs ?? 0) > 50_000)
  assert.deepEqual(await outcomeTotals(db.pool, run), { delivered: 1, skipped: 0, rejected: 1 })
  await nothingChanges(sync, claimed, CLAIMED)
})

const refusal = (key: string, version: number, retryAfterMs: readonly number[] | null = null): NewRejection => ({
  id: Buffer.from(key),
  key,
  op: 'upsert',
  fingerprint: Buffer.alloc(16, version),
  class: 'conflict',
  code: 'BAD',
  field: null,
  message: 'no',
  retryAfterMs,
})

/** Refuses key `a` once more, in a batch of its own, and tells what the books say then. */
async function refused(sync: string, run: string, version: number, steps: readonly number[] | null) {
  const plan = (await db.pool.query<{ plan: string }>('select plan from run where id = $1', [run])).rows[0]?.plan
  const { rows: added } = await db.pool.query<{ id: number }>(
    `insert into batch (run, plan, seq, phase, first_key, last_key, size, ops, payload, entries)
     select run, $2, seq + 1, phase, first_key, last_key, size, ops, payload, entries from batch where run = $1 order by id limit 1 returning id`,
    [run, plan],
  )
  const claimed = await claim(db.pool, added[0]?.id ?? 0)
  assert.ok(await settleBatch(db.pool, settlement(sync, claimed, { delivered: 0, rejected: 1, acknowledged: null, rejections: [refusal('a', version, steps)] })))
  const { rows } = await db.pool.query<{ attempts: number; wait: number | null; first_at: Date; last_at: Date }>(
    `select attempts, extract(epoch from next_attempt - last_at)::float8 as wait, first_at, last_at from rejection where sync = $1 and id = 'a'`,
    [sync],
  )
  const [row] = rows
  assert.ok(row)
  return { ...row, wait: row.wait === null ? null : Math.round(row.wait) }
}

test('a version that is refused again: attempts grow, the next try comes later, the last step stays; a new version starts anew', async () => {
  const { sync, run } = await published(db.pool, [staged(0, { a: 1 })])
  const steps = [60_000, 600_000, 3_600_000]
  const tries = []
  for (let i = 0; i < 4; i++) tries.push(await refused(sync, run, 1, steps))
  assert.deepEqual(
    tries.map(({ attempts, wait }) => [attempts, wait]),
    [
      [1, 60],
      [2, 600],
      [3, 3600],
      [4, 3600],
    ],
  )
  assert.equal(new Set(tries.map(({ first_at }) => first_at.getTime())).size, 1, 'first_at is that of the version')
  const other = await refused(sync, run, 2, steps)
  assert.deepEqual([other.attempts, other.wait], [1, 60])
  assert.ok(other.first_at > (tries[0]?.first_at ?? other.first_at))
  assert.deepEqual((await refused(sync, run, 2, null)).wait, null, 'waits for a new version or a person')
})

test('one statement settles a key whose removal went well and whose old match value was refused, twice over', async () => {
  const { sync, run } = await published(db.pool, [staged(0, { a: 1 })])
  await refused(sync, run, 0, [1000])
  const { rows } = await db.pool.query<{ id: number }>(`select id from batch where run = $1 and state = 'planned' limit 1`, [run])
  const claimed = await claim(db.pool, rows[0]?.id ?? 0)
  const key = Buffer.from('a')
  const both = { rejections: [refusal('a', 0, [1000])], closed: { keys: [key], matches: [{ key, match: 'now@x' }] } }
  assert.ok(await settleBatch(db.pool, settlement(sync, claimed, { acknowledged: pack({ a: 0 }), ...both })))
  assert.equal((await db.pool.query(`select 1 from rejection where sync = $1`, [sync])).rowCount, 1, 'what was refused is owed')
})

test('a split replaces a batch by its halves, written down before they are sent', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1, b: 1, c: 1 }, { onBooks: true })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  assert.ok(await splitBatch(db.pool, claimed, [child({ a: 1, b: 1 }), child({ c: 1 }, { doubtful: true, waitMs: 60_000 })]))
  const open = await allOpen(db.pool, run)
  assert.deepEqual(
    open.map((half) => [half.size, half.doubtful, half.waitMs > 0]),
    [
      [2, false, false],
      [1, true, true],
    ],
  )
  const { rows } = await db.pool.query('select parent, on_books, seq, plan is not null as planned from batch where run = $1 and parent is not null order by id', [run])
  assert.deepEqual(rows, Array(2).fill({ parent: claimed.id, on_books: true, seq: 0, planned: true }))
  const half = await claim(db.pool, open[0]?.id ?? 0)
  assert.equal(half.plannedAt, claimed.plannedAt, 'part of the frozen bytes')
})

test('batches of a plan that was not published are not open', async () => {
  const { run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  await db.pool.query(
    `insert into batch (run, plan, seq, phase, first_key, last_key, size, ops, payload, entries)
     select run, gen_random_uuid(), seq, phase, first_key, last_key, size, ops, payload, entries from batch where id = $1`,
    [ids[0]],
  )
  assert.deepEqual(
    (await allOpen(db.pool, run)).map(({ id }) => id),
    ids,
  )
})

test('an inherited batch is claimed and settled for its heir, whose baseline learns it', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 })], { settleAfterMs: null })
  const lost = await claim(db.pool, ids[0] ?? 0)
  const heir = await newRun(db.pool, sync, { settleAfterMs: null })
  assert.equal((await activate(db.pool, heir, sync)).inherited, 1)
  const [open] = await inheritedBatches(db.pool, heir)
  assert.ok(open)
  assert.deepEqual(await allOpen(db.pool, heir), [], 'not part of the plan')
  const claimed = await claim(db.pool, open.id, open.attempt)
  assert.deepEqual([claimed.run, claimed.plannedAt, claimed.payload], [run, lost.plannedAt, lost.payload], 'verbatim')
  assert.ok(await settleBatch(db.pool, settlement(sync, claimed)))
  assert.equal((await db.pool.query('select 1 from baseline_segment where sync = $1', [sync])).rowCount, 1)
  assert.deepEqual(await batchIds(db.pool, heir), [])
})
