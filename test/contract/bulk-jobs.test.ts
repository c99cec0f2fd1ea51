import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  assignJobs,
  bulkCandidates,
  claimClose,
  claimedOf,
  claimUpload,
  forgetRemote,
  giveBack,
  jobsLeftBehind,
  jobsOf,
  knownJobs,
  loadJob,
  noteClosed,
  noteEnded,
  noteOpened,
  noteSettled,
  noteUploaded,
  openInPhase,
} from '../../state/bulk-jobs.ts'
import { openBatches } from '../../state/ledger.ts'
import { settleBatch } from '../../state/settle.ts'
import type { TestDatabase } from '../harness/database.ts'
import { activate, child, newRun, openState, published, settlement, snapshot, staged } from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

const UPSERT = 'upsert' as const

/** A run with four batches in two jobs. */
async function divided() {
  const { sync, run } = await published(db.pool, [
    staged(0, { a: 1, b: 1 }),
    staged(1, { c: 1 }),
    staged(2, { d: 1 }, { doubtful: true }),
    staged(3, { e: 1, f: 1 }),
    staged(4, { g: 1 }),
  ])
  const candidates = await bulkCandidates(db.pool, { run, phase: UPSERT })
  await assignJobs(db.pool, { run, phase: UPSERT, jobs: [candidates.slice(0, 2), candidates.slice(2)] })
  const [first, second] = await jobsOf(db.pool, { run, phase: UPSERT })
  assert.ok(first && second)
  return { sync, run, candidates, first, second }
}

const inRange = async (run: string) => (await openBatches(db.pool, { run, phase: UPSERT, fromSeq: 0, toSeq: 99 })).map(({ id }) => id)
const states = async (run: string) =>
  (
    await db.pool.query<{ state: string; attempt: number }>('select state, attempt from batch where run = $1 order by seq, id', [run])
  ).rows.map(({ state, attempt }) => `${state} ${attempt}`)

test('what is doubtful never goes by job; sizes are those of the frozen lines; ranges leave a job’s batches alone', async () => {
  const { run, candidates, first, second } = await divided()
  assert.deepEqual(
    candidates.map(({ records }) => records),
    [2, 1, 2, 1],
  )
  const line = JSON.stringify({ id: 'a', op: 'upsert', key: 'a', fields: {} }).length
  assert.equal(candidates[0]?.bytes, 2 * line + 1)
  assert.deepEqual([first.records, second.records, first.state, first.remoteId], [3, 3, 'planned', null])
  assert.equal((await inRange(run)).length, 1, 'the doubtful batch')
  assert.equal(await openInPhase(db.pool, { run, phase: UPSERT }), 5)
})

test('a phase is divided once: whoever comes second changes nothing', async () => {
  const { run, candidates } = await divided()
  const before = await jobsOf(db.pool, { run, phase: UPSERT })
  await assignJobs(db.pool, { run, phase: UPSERT, jobs: [candidates] })
  assert.deepEqual(await jobsOf(db.pool, { run, phase: UPSERT }), before)
  assert.deepEqual(await bulkCandidates(db.pool, { run, phase: UPSERT }), [])
})

test('batches belonging together come one after the other, whatever their numbers', async () => {
  const { run } = await published(db.pool, [
    staged(0, { a: 1 }, { affinity: 7 }),
    staged(1, { b: 1 }, { affinity: 3 }),
    staged(2, { c: 1 }, { affinity: 7 }),
    staged(3, { d: 1 }),
  ])
  const candidates = await bulkCandidates(db.pool, { run, phase: UPSERT })
  await assignJobs(db.pool, { run, phase: UPSERT, jobs: [candidates] })
  const [job] = await jobsOf(db.pool, { run, phase: UPSERT })
  assert.ok(job)
  await noteOpened(db.pool, { id: job.id, remoteId: `order-${job.id}` })
  await claimUpload(db.pool, { id: job.id, remoteId: `order-${job.id}` })
  const seqs: number[] = []
  for (let page = await claimedOf(db.pool, { job: job.id, after: null, limit: 2 }); page.length > 0;) {
    seqs.push(...page.map(({ seq }) => seq))
    page = await claimedOf(db.pool, { job: job.id, after: page.at(-1) ?? null, limit: 2 })
  }
  assert.deepEqual(seqs, [3, 1, 0, 2])
})

test('the way of a job: each step once and in order, its batches claimed with it', async () => {
  const { run, first } = await divided()
  const step = { id: first.id, remoteId: `way-${first.id}` }
  assert.equal(await claimUpload(db.pool, step), false, 'not open yet')
  assert.equal(await noteOpened(db.pool, step), true)
  assert.equal(await noteOpened(db.pool, { ...step, remoteId: 'another' }), false, 'it has a remote job')
  assert.deepEqual(await knownJobs(db.pool, [step.remoteId, 'another']), new Set([step.remoteId]))
  assert.equal(await claimClose(db.pool, step), false, 'not uploaded yet')
  assert.equal(await claimUpload(db.pool, step), true)
  assert.equal(await claimUpload(db.pool, step), false, 'there is one upload only')
  assert.deepEqual(await states(run), ['sending 1', 'sending 1', 'planned 0', 'planned 0', 'planned 0'])
  assert.equal(await noteUploaded(db.pool, step), true)
  assert.equal(await claimClose(db.pool, step), true)
  assert.equal(await claimClose(db.pool, step), true, 'again before each further request')
  await noteClosed(db.pool, step)
  await noteEnded(db.pool, { ...step, error: 'aborted' })
  const ended = await loadJob(db.pool, first.id)
  assert.deepEqual([ended?.state, ended?.closing, ended?.error], ['ended', true, 'aborted'])
  await giveBack(db.pool, first.id)
  assert.deepEqual(
    await states(run),
    ['sending 1', 'sending 1', 'planned 0', 'planned 0', 'planned 0'],
    'what may have taken effect stays claimed',
  )
})

test('an upload that was not acknowledged: the job starts anew, its batches as before', async () => {
  const { run, first } = await divided()
  const step = { id: first.id, remoteId: `lost-${first.id}` }
  await noteOpened(db.pool, step)
  await claimUpload(db.pool, step)
  await forgetRemote(db.pool, { ...step, remoteId: 'another' })
  assert.equal((await loadJob(db.pool, first.id))?.state, 'uploading')
  await forgetRemote(db.pool, step)
  const anew = await loadJob(db.pool, first.id)
  assert.deepEqual([anew?.state, anew?.remoteId], ['planned', null])
  assert.deepEqual((await states(run))[0], 'planned 1')
  assert.equal(await noteUploaded(db.pool, step), false, 'the late answer of the forgotten one')
  const next = { id: first.id, remoteId: `next-${first.id}` }
  assert.deepEqual([await noteOpened(db.pool, next), await claimUpload(db.pool, next)], [true, true])
  assert.equal((await states(run))[0], 'sending 2')
  // Closed once, it can never be forgotten.
  await noteUploaded(db.pool, next)
  await claimClose(db.pool, next)
  await forgetRemote(db.pool, next)
  assert.equal((await loadJob(db.pool, first.id))?.remoteId, next.remoteId)
})

test('a job that the destination refuses gives its batches back to go by themselves', async () => {
  const { run, first } = await divided()
  await giveBack(db.pool, first.id)
  assert.equal((await loadJob(db.pool, first.id))?.state, 'done')
  assert.equal((await inRange(run)).length, 3)
})

test('what a job leaves of a batch goes by itself', async () => {
  const { sync, run, first } = await divided()
  const step = { id: first.id, remoteId: `part-${first.id}` }
  await noteOpened(db.pool, step)
  await claimUpload(db.pool, step)
  const [one] = await claimedOf(db.pool, { job: first.id, after: null, limit: 1 })
  assert.ok(one)
  assert.ok(await settleBatch(db.pool, settlement(sync, one, { acknowledged: null, child: child({ b: 1 }) })))
  assert.equal((await claimedOf(db.pool, { job: first.id, after: null, limit: 9 })).length, 1, 'settled ones are not shown again')
  assert.equal((await inRange(run)).length, 2, 'the doubtful one and the child')
})

test('another run takes over: no step of the old one has an effect, and its jobs are known as left behind', async () => {
  const { sync, run, first, second } = await divided()
  const step = { id: first.id, remoteId: `old-${first.id}` }
  await noteOpened(db.pool, step)
  await claimUpload(db.pool, step)
  await noteUploaded(db.pool, step)
  const next = await newRun(db.pool, sync)
  await activate(db.pool, next, sync)
  const before = [await snapshot(db.pool, sync), await jobsOf(db.pool, { run, phase: UPSERT })]
  assert.equal(await claimClose(db.pool, step), false)
  assert.equal(await noteUploaded(db.pool, step), false)
  assert.equal(await noteOpened(db.pool, { id: second.id, remoteId: 'late' }), false)
  await forgetRemote(db.pool, step)
  await giveBack(db.pool, first.id)
  await assignJobs(db.pool, { run, phase: 'remove', jobs: [[]] })
  assert.deepEqual([await snapshot(db.pool, sync), await jobsOf(db.pool, { run, phase: UPSERT })], before)
  assert.deepEqual(await states(run), ['doubt 1', 'doubt 1', 'discarded 0', 'discarded 0', 'discarded 0'])
  assert.deepEqual(await jobsLeftBehind(db.pool, { run: next, sync }), [first.id])
  assert.deepEqual(await jobsLeftBehind(db.pool, { run, sync }), [], 'of older runs only')
  await noteEnded(db.pool, { ...step, error: null })
  assert.deepEqual(await jobsLeftBehind(db.pool, { run: next, sync }), [], 'ended ones cannot take effect any more')
  await noteSettled(db.pool, first.id, 'done')
  await noteEnded(db.pool, { ...step, error: 'late' })
  assert.equal((await loadJob(db.pool, first.id))?.state, 'done')
})
