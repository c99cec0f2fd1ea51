import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { publishAdopted } from '../../state/adoption.ts'
import { insertSegments } from '../../state/compaction.ts'
import { endRun } from '../../state/run-row.ts'
import type { NewRejection } from '../../state/settle.ts'
import { publishPlan, readStaged, rewriteStaged, stageBatches, type PlanBooks } from '../../state/staging.ts'
import type { TestDatabase } from '../harness/database.ts'
import { activate, BASELINE, blocked, inFlight, newRun, newSync, NO_BOOKS, openState, pack, snapshot, staged } from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

const COUNTS = { read: 1, unchanged: 0, added: 1, changed: 0, removed: 0, retried: 0, invalid: 0 }

async function activeRun(dryRun = false): Promise<{ sync: string; run: string }> {
  const sync = newSync()
  const run = await newRun(db.pool, sync, { dryRun })
  await activate(db.pool, run, sync, dryRun ? 'looks' : 'delivers')
  return { sync, run }
}
const runRow = async (run: string) =>
  (
    await db.pool.query<{ plan: string | null; planned: unknown; upsert_batches: number | null }>(
      'select plan, planned, upsert_batches from run where id = $1',
      [run],
    )
  ).rows[0]

const invalid = (key: string, version = 1): NewRejection => ({
  id: Buffer.from(key),
  key,
  op: 'upsert',
  fingerprint: Buffer.alloc(16, version),
  class: 'invalid',
  code: 'INVALID_EMAIL',
  field: 'email',
  message: 'not an e-mail address',
  retryAfterMs: null,
})
/** Publishes a plan of so many upsert batches; gives whether it won. */
const publish = (
  active: { sync: string; run: string; dryRun?: boolean },
  plan: string,
  books: Partial<PlanBooks> = {},
  upsertBatches = 1,
): Promise<boolean> =>
  publishPlan(db.pool, {
    dryRun: false,
    ...active,
    published: { plan, counts: COUNTS, upsertBatches, removeBatches: 0, holds: [], bulk: [] },
    books: { ...NO_BOOKS, ...books },
    baseline: BASELINE,
    beganAt: new Date(),
  })
const rejections = async (sync: string) =>
  (
    await db.pool.query<{ id: Buffer; class: string; attempts: number }>(
      'select id, class, attempts from rejection where sync = $1 order by id',
      [sync],
    )
  ).rows.map((row) => `${row.id.toString()} ${row.class} ${row.attempts}`)

test('attempts race: one wins, whole; the batches and books of the others are gone', async () => {
  for (let round = 0; round < 8; round++) {
    const { sync, run } = await activeRun()
    const attempts = await Promise.all(
      Array.from({ length: 4 }, async (_, attempt) => {
        const plan = randomUUID()
        const size = attempt + 1
        await stageBatches(
          db.pool,
          run,
          plan,
          Array.from({ length: size }, (_, seq) => staged(seq, { [`${attempt} ${seq}`]: 1 })),
        )
        const won = await publish({ sync, run }, plan, { invalid: [invalid(String(attempt))] }, size)
        return { plan, size, attempt, won }
      }),
    )
    const winners = attempts.filter(({ won }) => won)
    assert.equal(winners.length, 1)
    const [winner] = winners
    assert.deepEqual(await runRow(run), { plan: winner?.plan, planned: { ...COUNTS, holds: [], bulk: [] }, upsert_batches: winner?.size })
    assert.deepEqual(await rejections(sync), [`${winner?.attempt} invalid 1`])
    const { rows } = await db.pool.query<{ plan: string; n: number }>(
      'select plan, count(*) as n from batch where run = $1 group by plan',
      [run],
    )
    assert.deepEqual(
      rows.filter(({ plan }) => plan === winner?.plan),
      [{ plan: winner?.plan, n: winner?.size }],
    )
  }
})

test('what a losing attempt staged before is deleted, whatever it is', async () => {
  const { sync, run } = await activeRun()
  const [litter, plan] = [randomUUID(), randomUUID()]
  await stageBatches(db.pool, run, litter, [
    staged(0, { a: 1 }),
    staged(1, { b: 1 }, { phase: 'remove', doubtful: true }),
    staged(0, { c: 1 }, { phase: 'invalid' }),
  ])
  await stageBatches(db.pool, run, plan, [staged(0, { a: 1 })])
  assert.ok(await publish({ sync, run }, plan))
  assert.deepEqual((await db.pool.query('select distinct plan from batch where run = $1', [run])).rows, [{ plan }])
})

test('a published plan, a run that has ended or lost its place: nothing is published, nothing moves', async () => {
  const cases: ((active: { sync: string; run: string }) => Promise<unknown>)[] = [
    async (active) => publish(active, randomUUID()),
    async ({ sync, run }) => endRun(db.pool, { run, sync, outcome: 'failed', error: null, waiting: null, mappingId: null }),
    async ({ sync }) => db.pool.query('update sync_state set active_run = gen_random_uuid() where sync = $1', [sync]),
  ]
  for (const make of cases) {
    const active = await activeRun()
    await make(active)
    const { sync, run } = active
    const plan = randomUUID()
    await stageBatches(db.pool, run, plan, [staged(0, { a: 1 })])
    const before = [await snapshot(db.pool, sync), await runRow(run)]
    const books = { invalid: [invalid('a')], renamed: [{ key: Buffer.from('a'), match: 'a@x' }] }
    assert.equal(await publish(active, plan, books), false)
    assert.deepEqual([await snapshot(db.pool, sync), await runRow(run)], before)
  }
})

test('a new run takes the place while a plan is being published: one of the two sees the other', async () => {
  const { sync, run } = await activeRun()
  const plan = randomUUID()
  await stageBatches(db.pool, run, plan, [staged(0, { a: 1 })])
  const swap = await inFlight(db)
  await swap.pool.query('update sync_state set active_run = gen_random_uuid() where sync = $1', [sync])
  const publishing = publish({ sync, run }, plan, { invalid: [invalid('a')] })
  await blocked(db.pool)
  await swap.commit()
  assert.equal(await publishing, false)
  assert.deepEqual([(await runRow(run))?.plan, await rejections(sync)], [null, []])
})

test('a dry run’s plan is published and leaves the books alone', async () => {
  const { sync, run } = await activeRun(true)
  await db.pool.query(
    `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ($1, 'x', '"x"', 'upsert', 'f', 'invalid', 'X', '', gen_random_uuid())`,
    [sync],
  )
  await db.pool.query(`insert into stale_match values ($1, 'x', 'x@x')`, [sync])
  const plan = randomUUID()
  await stageBatches(db.pool, run, plan, [staged(0, { a: 1 })])
  const books = {
    invalid: [invalid('a')],
    settledRejections: [Buffer.from('x')],
    renamed: [{ key: Buffer.from('a'), match: 'a@x' }],
    currentAgain: [{ key: Buffer.from('x'), match: 'x@x' }],
  }
  const before = await snapshot(db.pool, sync)
  assert.ok(await publish({ sync, run, dryRun: true }, plan, books))
  assert.deepEqual(await snapshot(db.pool, sync), before)
  assert.equal((await runRow(run))?.plan, plan)
})

test('publishing moves the books: invalid rows replace those of older plans, settled ones go, old match values come and go', async () => {
  const { sync, run } = await activeRun()
  const old = randomUUID()
  const put = (id: string, kind: string, version = 1) =>
    db.pool.query(
      `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ($1, $2, '"k"', 'upsert', $3, $4, 'X', '', $5)`,
      [sync, id, Buffer.alloc(16, version), kind, old],
    )
  await put('fixed', 'invalid')
  await put('same', 'invalid')
  await put('other version', 'invalid', 7)
  await put('refused', 'data')
  await put('gone', 'data')
  await db.pool.query(`insert into stale_match values ($1, 'a', 'now@x'), ($1, 'a', 'old@x'), ($1, 'b', 'now@x')`, [sync])
  const plan = randomUUID()
  const books = {
    invalid: [invalid('same'), invalid('other version'), invalid('new')],
    settledRejections: [Buffer.from('gone')],
    renamed: [
      { key: Buffer.from('c'), match: 'c@x' },
      { key: Buffer.from('a'), match: 'old@x' },
    ],
    currentAgain: [{ key: Buffer.from('a'), match: 'now@x' }],
  }
  assert.ok(await publish({ sync, run }, plan, books))
  assert.deepEqual(await rejections(sync), ['new invalid 1', 'other version invalid 1', 'refused data 1', 'same invalid 2'])
  const { rows } = await db.pool.query<{ key: Buffer; match: string }>(
    'select key, match from stale_match where sync = $1 order by key, match',
    [sync],
  )
  assert.deepEqual(
    rows.map(({ key, match }) => `${key.toString()} ${match}`),
    ['a old@x', 'b now@x', 'c c@x'],
  )
})

test('thousands of invalid rows go in one transaction', async () => {
  const { sync, run } = await activeRun()
  const many = Array.from({ length: 2500 }, (_, i) => invalid(`k${i}`))
  assert.ok(await publish({ sync, run }, randomUUID(), { invalid: many }))
  assert.equal((await rejections(sync)).length, 2500)
})

test('a staged batch can lose records before it is published, down to the last', async () => {
  const { run } = await activeRun()
  const at = { run, plan: randomUUID(), seq: 3 }
  await stageBatches(db.pool, run, at.plan, [staged(3, { a: 1, b: 1 }), staged(3, { c: 1 }, { phase: 'remove' })])
  const left = staged(3, { b: 1 })
  await rewriteStaged(await client(), at, left)
  const found = await readStaged(await client(), at)
  assert.deepEqual(found, { ops: left.ops, payload: left.payload, entries: left.entries })
  await rewriteStaged(await client(), at, null)
  assert.equal(await readStaged(await client(), at), null)
  assert.equal((await db.pool.query('select 1 from batch where run = $1', [run])).rowCount, 1, 'the removal of the same seq stays')
})

async function client() {
  const one = await db.pool.connect()
  one.release()
  return one
}

async function adopt(sync: string, run: string, generation: number): Promise<boolean> {
  const one = await db.pool.connect()
  try {
    await one.query('begin')
    const at = { sync, generation: generation + 1, seq: 50 }
    await insertSegments(one, { ...at, blocks: [pack({ new: 2 })] })
    const adopted = {
      ...at,
      run,
      baselineId: 'one',
      keyParts: 'text',
      mappingId: 'm',
      counts: COUNTS,
      invalid: [invalid('bad')],
      beganAt: new Date(),
    }
    const ours = await publishAdopted(one, adopted)
    await one.query(ours ? 'commit' : 'rollback')
    return ours
  } finally {
    one.release()
  }
}

test('adopting flips to the generation that was written aside and closes the books, once, for the active run only', async () => {
  const { sync, run } = await activeRun()
  const before = await db.pool.connect()
  await insertSegments(before, { sync, generation: 1, seq: 1, blocks: [pack({ old: 1 })] })
  before.release()
  await db.pool.query(`insert into doubt values ($1, 'old', clock_timestamp())`, [sync])
  await db.pool.query(`insert into stale_match values ($1, 'old', 'old@x')`, [sync])
  const untouched = await snapshot(db.pool, sync)
  assert.equal(await adopt(sync, randomUUID(), 1), false, 'not the active run')
  assert.equal(await adopt(sync, run, 7), false, 'another generation')
  assert.deepEqual(await snapshot(db.pool, sync), untouched)
  assert.equal(await adopt(sync, run, 1), true)
  const { rows } = await db.pool.query('select generation, compacted_seq, mapping_id from sync_state where sync = $1', [sync])
  assert.deepEqual(rows, [{ generation: 2, compacted_seq: 50, mapping_id: 'm' }])
  assert.deepEqual((await db.pool.query('select generation, seq from baseline_segment where sync = $1', [sync])).rows, [
    { generation: 2, seq: 50 },
  ])
  assert.deepEqual(await rejections(sync), ['bad invalid 1'])
  for (const table of ['doubt', 'stale_match'])
    assert.equal((await db.pool.query(`select 1 from ${table} where sync = $1`, [sync])).rowCount, 0)
  const done = await snapshot(db.pool, sync)
  assert.equal(await adopt(sync, run, 2), false, 'the run has its plan')
  assert.deepEqual(await snapshot(db.pool, sync), done)
})
