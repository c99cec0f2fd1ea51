import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { insertSegments } from '../../state/compaction.ts'
import { activateRun, beginDelivery, plannedGeneration } from '../../state/fence.ts'
import type { PackedSegment } from '../../state/segment.ts'
import { claimBatch, isActive, releaseBatch } from '../../state/ledger.ts'
import { settleBatch, splitBatch } from '../../state/settle.ts'
import { publishPlan, stageBatches } from '../../state/staging.ts'
import type { TestDatabase } from '../harness/database.ts'
import {
  ACCOUNT,
  activate,
  BASELINE,
  child,
  claim,
  doubts,
  newRun,
  newSync,
  NO_BOOKS,
  openState,
  pack,
  publish,
  published,
  RECORDS,
  settlement,
  snapshot,
  staged,
  stateNames,
  states,
  WEBHOOK,
} from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

test('older batches: unclaimed ones are discarded, claimed ones become doubt until the lost request is over', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 }), staged(1, { c: 1 }), staged(2, { d: 1 })], {
    settleAfterMs: 60_000,
  })
  const [sent = 0, settled = 0] = ids
  await claim(db.pool, sent)
  await db.pool.query(`update batch set sent_at = sent_at - interval '20 seconds' where id = $1`, [sent])
  assert.ok(await settleBatch(db.pool, settlement(sync, await claim(db.pool, settled))))
  const next = await newRun(db.pool, sync)
  assert.deepEqual(await activate(db.pool, next, sync), { inherited: 0 })
  assert.deepEqual(await stateNames(db.pool, run), ['doubt', 'settled', 'discarded'])
  const owed = await doubts(db.pool, sync)
  assert.deepEqual(
    owed.map(({ key }) => key),
    ['a', 'b'],
  )
  // Counted from when it was sent, by the database's clock.
  for (const { ms } of owed) assert.ok(ms > 30_000 && ms <= 40_000, String(ms))
})

test('a lost request that is long over can be looked at now', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1 })], { settleAfterMs: 1000 })
  await claim(db.pool, ids[0] ?? 0)
  await db.pool.query(`update batch set sent_at = sent_at - interval '1 hour'`)
  await activate(db.pool, await newRun(db.pool, sync), sync)
  const [owed] = await doubts(db.pool, sync)
  assert.ok(owed && owed.ms <= 0)
})

test('of two doubts about one key the later end counts', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: 1 })], { settleAfterMs: 1000 })
  await db.pool.query(`insert into doubt values ($1, 'a', clock_timestamp() + interval '1 hour')`, [sync])
  await claim(db.pool, ids[0] ?? 0)
  await activate(db.pool, await newRun(db.pool, sync), sync)
  assert.ok(((await doubts(db.pool, sync))[0]?.ms ?? 0) > 3_000_000)
})

test('the match values of what was sent are kept, because a lost request may still write under them', async () => {
  const { sync, ids } = await published(db.pool, [staged(0, { a: { fingerprint: 1, match: 'a@x' } })])
  await claim(db.pool, ids[0] ?? 0)
  await activate(db.pool, await newRun(db.pool, sync), sync)
  const { rows } = await db.pool.query('select match from stale_match where sync = $1', [sync])
  assert.deepEqual(rows, [{ match: 'a@x' }])
})

test('what cannot be read back is inherited verbatim by the next run that delivers, and by the one after it', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 }), staged(1, { b: 1 })], WEBHOOK)
  const old = await claim(db.pool, ids[0] ?? 0)
  const first = await newRun(db.pool, sync, WEBHOOK)
  assert.deepEqual(await activate(db.pool, first, sync), { inherited: 1 })
  assert.deepEqual(await activate(db.pool, first, sync), { inherited: 1 }, 'repeatable')
  assert.deepEqual(await states(db.pool, run), [
    { state: 'sending', heir: first },
    { state: 'discarded', heir: null },
  ])
  // Handing it over counts as an attempt: what the old worker still knows of it has no effect any more.
  assert.equal(await settleBatch(db.pool, settlement(sync, old)), false)
  assert.equal(await claimBatch(db.pool, old, ACCOUNT), null)
  // The heir gave it back as not applied, and then it was terminated too.
  const again = await claim(db.pool, ids[0] ?? 0, 2)
  assert.ok(await releaseBatch(db.pool, again, { applied: 'no', waitMs: 0 }))
  const second = await newRun(db.pool, sync, WEBHOOK)
  assert.deepEqual(await activate(db.pool, second, sync), { inherited: 1 })
  assert.deepEqual((await states(db.pool, run))[0], { state: 'planned', heir: second })
  assert.deepEqual(await doubts(db.pool, sync), [])
})

test('a new generation does not inherit: those records are other records now', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 })], WEBHOOK)
  await claim(db.pool, ids[0] ?? 0)
  await db.pool.query('update sync_state set generation = 2 where sync = $1', [sync])
  const next = await newRun(db.pool, sync, { ...WEBHOOK, generation: 2 })
  assert.deepEqual(await activate(db.pool, next, sync), { inherited: 0 })
  assert.deepEqual(await stateNames(db.pool, run), ['doubt'])
})

// The sync was given another webhook while a request to the first one was in doubt: the second one got the old batch, and then all anew.
test('a run about other records does not inherit: what was meant for another destination is not sent to this one', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 })], WEBHOOK)
  await claim(db.pool, ids[0] ?? 0)
  const next = await newRun(db.pool, sync, { ...WEBHOOK, baselineId: 'others' })
  assert.deepEqual(await activate(db.pool, next, sync, 'delivers', 'others'), { inherited: 0 })
  assert.deepEqual(await stateNames(db.pool, run), ['doubt'])
})

test('a run that adopts sends nothing, so it inherits nothing', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 })], WEBHOOK)
  await claim(db.pool, ids[0] ?? 0)
  assert.deepEqual(await activate(db.pool, await newRun(db.pool, sync, WEBHOOK), sync, 'adopts'), { inherited: 0 })
  assert.deepEqual(await stateNames(db.pool, run), ['doubt'])
})

test('a dry run leaves older batches as they are; the next run closes them, and nobody can claim them meanwhile', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 }), staged(1, { b: 1 })])
  const claimed = await claim(db.pool, ids[0] ?? 0)
  await activate(db.pool, await newRun(db.pool, sync, { dryRun: true }), sync, 'looks')
  assert.deepEqual(await stateNames(db.pool, run), ['sending', 'planned'])
  assert.equal(await settleBatch(db.pool, settlement(sync, claimed)), false)
  assert.equal(await claimBatch(db.pool, { id: ids[1] ?? 0, attempt: 0 }, ACCOUNT), null)
  await activate(db.pool, await newRun(db.pool, sync), sync)
  assert.deepEqual(await stateNames(db.pool, run), ['doubt', 'discarded'])
})

// A dry run with `verify` marks all it plans as to be read back; the next run took that for sent and put every key in doubt. At a
// webhook the same mark would have made the next run send a dry run's plan.
test('what was never claimed is discarded, even if it was to be read back first', async () => {
  for (const options of [{ dryRun: true }, { ...WEBHOOK, dryRun: true }, {}, WEBHOOK]) {
    const sync = newSync()
    const run = await newRun(db.pool, sync, options)
    await activate(db.pool, run, sync)
    await publish(db.pool, {
      run,
      sync,
      batches: [staged(0, { a: 1 }, { doubtful: true, onBooks: true })],
      dryRun: options.dryRun ?? false,
    })
    await stageBatches(db.pool, run, randomUUID(), [staged(0, { z: 1 }, { doubtful: true })])
    await db.pool.query(`insert into doubt values ($1, 'a', clock_timestamp())`, [sync])
    assert.deepEqual(await activate(db.pool, await newRun(db.pool, sync, WEBHOOK), sync), { inherited: 0 })
    assert.deepEqual(await stateNames(db.pool, run), ['discarded', 'discarded'])
    assert.deepEqual(
      (await doubts(db.pool, sync)).map(({ key }) => key),
      ['a'],
      'what made it doubtful stays on the books, and nothing else comes there',
    )
  }
})

test('doubt that a claim left stays doubt: given back, or handed on to halves that were not sent yet', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 }), staged(1, { b: 1, c: 1 })])
  await releaseBatch(db.pool, await claim(db.pool, ids[0] ?? 0), { applied: 'unknown', waitMs: 0 })
  assert.ok(await splitBatch(db.pool, await claim(db.pool, ids[1] ?? 0), [child({ b: 1 }, { doubtful: true }), child({ c: 1 })]))
  await activate(db.pool, await newRun(db.pool, sync), sync)
  assert.deepEqual(await stateNames(db.pool, run), ['doubt', 'split', 'doubt', 'discarded'])
  assert.deepEqual(
    (await doubts(db.pool, sync)).map(({ key }) => key),
    ['a', 'b'],
  )
})

test('only the run whose turn it is can take the place', async () => {
  const sync = newSync()
  const run = await newRun(db.pool, sync)
  const next = await newRun(db.pool, sync)
  const before = await snapshot(db.pool, sync)
  const take = (id: string, of = sync) => activateRun(db.pool, { run: id, sync: of, kind: 'delivers', baselineId: RECORDS })
  assert.equal(await take(run), null, 'ended')
  assert.equal(await take(randomUUID()), null, 'unknown')
  assert.equal(await take(next, newSync()), null, 'of another sync')
  assert.deepEqual(await snapshot(db.pool, sync), before)
  assert.ok(await take(next))
  assert.equal(await isActive(db.pool, next), true)
})

test('a plan for other records moves nothing; when its delivery begins a new generation takes the place of the old one and of its books', async () => {
  const sync = newSync()
  const counts = { read: 0, unchanged: 0, added: 0, changed: 0, removed: 0, retried: 0, invalid: 0 }
  const books = async (run: string) => {
    await db.pool.query(`insert into doubt values ($1, 'a', clock_timestamp()) on conflict do nothing`, [sync])
    await db.pool.query(`insert into stale_match values ($1, 'a', 'a@x') on conflict do nothing`, [sync])
    await db.pool.query(
      `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ($1, 'a', '"a"', 'upsert', 'f', 'data', 'X', '', $2) on conflict do nothing`,
      [sync, run],
    )
  }
  const left = async () => {
    const found: unknown[] = []
    for (const table of ['doubt', 'stale_match', 'rejection', 'baseline_segment'])
      found.push((await db.pool.query(`select 1 from ${table} where sync = $1`, [sync])).rowCount)
    return found
  }
  const generation = async () =>
    (await db.pool.query<object>('select generation, baseline_id, key_parts from sync_state where sync = $1', [sync])).rows[0]
  const segment = async (blocks: PackedSegment[], of: number) => {
    const client = await db.pool.connect()
    await insertSegments(client, { sync, generation: of, seq: 1, blocks })
    client.release()
  }
  let old = await newRun(db.pool, sync)
  for (const [i, identity] of [
    { baselineId: 'one', keyParts: 'int64' },
    { baselineId: 'two', keyParts: 'int64' },
    { baselineId: 'two', keyParts: 'text' },
  ].entries()) {
    const run = await newRun(db.pool, sync)
    await activateRun(db.pool, { run, sync, kind: 'delivers', baselineId: identity.baselineId })
    await db.pool.query(`update run set definition = definition || jsonb_build_object('baselineId', $2::text) where id = $1`, [
      run,
      identity.baselineId,
    ])
    await books(old)
    if (i > 0) await segment([pack({ a: 1 })], i)
    const before = await snapshot(db.pool, sync)
    const planned = await plannedGeneration(db.pool, { run, sync, ...identity })
    assert.deepEqual(planned, { generation: i + 1, fresh: true })
    assert.equal(await plannedGeneration(db.pool, { run: old, sync, ...identity }), null, 'not the active run')
    await beginDelivery(db.pool, run)
    assert.deepEqual(await snapshot(db.pool, sync), before, 'nothing is planned yet')
    const published = { plan: randomUUID(), counts, upsertBatches: 0, removeBatches: 0, holds: [], bulk: [] }
    const baseline = { generation: i + 1, keyParts: identity.keyParts, lapses: [] }
    assert.ok(await publishPlan(db.pool, { run, sync, published, books: NO_BOOKS, baseline, dryRun: false, beganAt: new Date() }))
    assert.deepEqual(await left(), [1, 1, 1, i > 0 ? 1 : 0], 'published')
    await beginDelivery(db.pool, run)
    assert.deepEqual(await left(), [0, 0, 0, 0])
    assert.deepEqual(await generation(), { generation: i + 1, baseline_id: identity.baselineId, key_parts: identity.keyParts })
    assert.deepEqual(await plannedGeneration(db.pool, { run, sync, ...identity }), { generation: i + 1, fresh: false })
    await books(run)
    await beginDelivery(db.pool, run)
    assert.deepEqual(await left(), [1, 1, 1, 0], 'repeatable')
    old = run
  }
})

test('entries that a plan overtakes lapse when its delivery begins, once; not for a run whose place was taken', async () => {
  const counts = { read: 0, unchanged: 0, added: 0, changed: 0, removed: 0, retried: 0, invalid: 0 }
  const published = { plan: randomUUID(), counts, upsertBatches: 0, removeBatches: 0, holds: [], bulk: [] }
  for (const taken of [false, true]) {
    const sync = newSync()
    const run = await newRun(db.pool, sync)
    await activate(db.pool, run, sync)
    const baseline = { ...BASELINE, lapses: [pack({ a: 0 })] }
    await publishPlan(db.pool, { run, sync, published, books: NO_BOOKS, baseline, dryRun: false, beganAt: new Date() })
    const segments = async () =>
      (await db.pool.query<object>('select generation, first_key from baseline_segment where sync = $1', [sync])).rows
    assert.deepEqual(await segments(), [])
    if (taken) await activate(db.pool, await newRun(db.pool, sync), sync)
    await beginDelivery(db.pool, run)
    await beginDelivery(db.pool, run)
    assert.deepEqual(await segments(), taken ? [] : [{ generation: 1, first_key: Buffer.from('a') }])
  }
})
