import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { claimBatch, inheritedBatches, isActive, releaseBatch } from '../../state/ledger.ts'
import { pauseAccount } from '../../state/budget.ts'
import { endRun } from '../../state/run-row.ts'
import { settleBatch, splitBatch } from '../../state/settle.ts'
import type { TestDatabase } from '../harness/database.ts'
import {
  ACCOUNT,
  activate,
  allOpen,
  batchIds,
  child,
  claim,
  CLAIMED,
  newRun,
  nothingChanges,
  openState,
  published,
  settlement,
  snapshot,
  staged,
} from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

test('another run is active: nothing of the old one has an effect, claimed or not', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1 })])
  const [first = 0, second = 0] = ids
  const claimed = await claim(db.pool, first)
  // Only the swap, not the closing of batches: the fence alone has to hold.
  await db.pool.query('update sync_state set active_run = gen_random_uuid() where sync = $1', [sync])
  await nothingChanges(db.pool, sync, claimed)
  await nothingChanges(db.pool, sync, { id: second, attempt: 0 })
  await db.pool.query('update sync_state set active_run = null where sync = $1', [sync])
  await nothingChanges(db.pool, sync, claimed)
})

test('the run has ended: nothing of it has an effect, even while it is named as active', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1 })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  await endRun(db.pool, { run, sync, outcome: 'cancelled', error: null, waiting: null, mappingId: null })
  assert.equal(await isActive(db.pool, run), false)
  await nothingChanges(db.pool, sync, claimed)
  await db.pool.query('update sync_state set active_run = $2 where sync = $1', [sync, run])
  assert.equal(await isActive(db.pool, run), false)
  await nothingChanges(db.pool, sync, claimed)
  await nothingChanges(db.pool, sync, { id: ids[1] ?? 0, attempt: 0 })
})

test('a dry run’s plan can never be claimed', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 })], { dryRun: true })
  await nothingChanges(db.pool, sync, { id: ids[0] ?? 0, attempt: 0 })
})

test('an attempt that is one off, before or after, changes nothing', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 })])
  const [id = 0] = ids
  await nothingChanges(db.pool, sync, { id, attempt: -1 })
  await nothingChanges(db.pool, sync, { id, attempt: 1 })
  await nothingChanges(db.pool, sync, { id, attempt: 0 }, CLAIMED)
  const claimed = await claim(db.pool, id)
  assert.equal(claimed.attempt, 1)
  await nothingChanges(db.pool, sync, { id, attempt: 0 })
  await nothingChanges(db.pool, sync, { id, attempt: 2 })
  const again = await claim(db.pool, id, 1)
  assert.equal(again.attempt, 2)
  await nothingChanges(db.pool, sync, claimed)
})

test('what is settled or split stays so', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1, d: 1 })])
  const [first = 0, second = 0] = ids
  const settled = await claim(db.pool, first)
  assert.ok(await settleBatch(db.pool, settlement(sync, settled)))
  await nothingChanges(db.pool, sync, settled)
  const divided = await claim(db.pool, second)
  assert.ok(await splitBatch(db.pool, divided, [child({ c: 1 }), child({ d: 1 })]))
  await nothingChanges(db.pool, sync, divided)
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
  const { rows } = await db.pool.query(
    'select parent, on_books, seq, plan is not null as planned from batch where run = $1 and parent is not null order by id',
    [run],
  )
  assert.deepEqual(rows, Array(2).fill({ parent: claimed.id, on_books: true, seq: 0, planned: true }))
  const half = await claim(db.pool, open[0]?.id ?? 0)
  assert.deepEqual(half.plannedAt, claimed.plannedAt, 'part of the frozen bytes')
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
