import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { endRun } from '../../state/run-row.ts'
import { prune } from '../../state/prune.ts'
import type { TestDatabase } from '../harness/database.ts'
import { openState, publish, newRun, newSync, activate, published, staged, WEBHOOK } from './state-fixture.ts'

/** Retention: what is over goes, what was claimed and not settled stays, and nobody waits. */
let db: TestDatabase
const going = new AbortController().signal

before(async () => {
  db = await openState()
})
after(() => db.drop())

/** As if the run had ended so many days ago. */
async function endDaysAgo(run: string, sync: string, days: number): Promise<void> {
  await endRun(db.pool, { run, sync, outcome: 'failed', error: { code: 'x', message: '' }, waiting: null, mappingId: null })
  await db.pool.query(`update run set finished_at = clock_timestamp() - $2 * interval '1 day' where id = $1`, [run, days])
}

async function left(run: string): Promise<{ runs: number; batches: string[] }> {
  const runs = await db.pool.query('select 1 from run where id = $1', [run])
  const batches = await db.pool.query<{ state: string }>('select state from batch where run = $1 order by seq', [run])
  return { runs: runs.rowCount ?? 0, batches: batches.rows.map(({ state }) => state) }
}

const batches = (count: number) => Array.from({ length: count }, (_, seq) => staged(seq, { [`k${String(seq).padStart(5, '0')}`]: 1 }))

test('a claimed and unsettled batch stays with its run, whatever its age; all else goes', async () => {
  const { sync, run, ids } = await published(db.pool, batches(6), WEBHOOK)
  for (const [i, state] of ['settled', 'split', 'discarded', 'doubt', 'sending', 'planned'].entries())
    await db.pool.query('update batch set state = $2, attempt = 1, doubtful = $3 where id = $1', [ids[i], state, state === 'planned'])
  await endDaysAgo(run, sync, 400)
  await prune(db.pool, 30, going)
  assert.deepEqual(await left(run), { runs: 1, batches: ['sending', 'planned'] })
  await db.pool.query(`update batch set state = 'settled' where run = $1`, [run])
  await prune(db.pool, 30, going)
  assert.deepEqual(await left(run), { runs: 0, batches: [] })
})

/** Batches that were never claimed used to keep their run for ever: every dry run, and every run that failed early. */
test('a plan that was never sent goes with its run', async () => {
  const sync = newSync()
  const run = await newRun(db.pool, sync, { dryRun: true })
  await activate(db.pool, run, sync, 'looks')
  assert.ok(await publish(db.pool, { run, sync, batches: batches(3), dryRun: true }))
  await endDaysAgo(run, sync, 31)
  await prune(db.pool, 30, going)
  assert.deepEqual(await left(run), { runs: 0, batches: [] })
})

test('what is younger than its retention stays, and so does a run that goes on', async () => {
  const young = await published(db.pool, batches(1))
  await endDaysAgo(young.run, young.sync, 29.9)
  const active = await published(db.pool, batches(1))
  await prune(db.pool, 30, going)
  assert.deepEqual(await left(young.run), { runs: 1, batches: ['planned'] })
  assert.deepEqual(await left(active.run), { runs: 1, batches: ['planned'] })
})

test('rows that somebody holds are passed over; nobody waits for anybody', async () => {
  const { sync, run, ids } = await published(db.pool, batches(3))
  await db.pool.query(`update batch set state = 'settled' where run = $1`, [run])
  await endDaysAgo(run, sync, 31)
  const holder = await db.pool.connect()
  try {
    await holder.query('begin')
    await holder.query('select 1 from batch where id = $1 for update', [ids[1]])
    await prune(db.pool, 30, going)
    assert.deepEqual(await left(run), { runs: 1, batches: ['settled'] })
    await holder.query('commit')
  } finally {
    holder.release()
  }
  await prune(db.pool, 30, going)
  assert.equal((await left(run)).runs, 0)
})

test('goes on until nothing is left, in slices, and ends between two of them when told', async () => {
  const { sync, run } = await published(db.pool, batches(450))
  await db.pool.query(`update batch set state = 'settled' where run = $1`, [run])
  await endDaysAgo(run, sync, 31)
  await prune(db.pool, 30, AbortSignal.abort())
  assert.equal((await left(run)).batches.length, 450)
  const told = new AbortController()
  const watched = new Proxy(db.pool, {
    get: (pool, name) =>
      name === 'query'
        ? async (text: string, values: unknown[]) => {
            told.abort()
            return pool.query(text, values)
          }
        : (Reflect.get(pool, name) as unknown),
  })
  await prune(watched, 30, told.signal)
  assert.equal((await left(run)).batches.length, 250)
  await prune(db.pool, 30, going)
  assert.equal((await left(run)).runs, 0)
})
