import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pollMs } from '../../activities/deliver/bulk-job.ts'
import { packJobs } from '../../activities/deliver/bulk-packing.ts'
import { bulkPhases } from '../../activities/plan/bulk-phases.ts'

const batch = (id: number, records: number, bytes: number) => ({ id, records, bytes })

test('batches become jobs in their order, none above a limit, none left out', () => {
  const batches = fc.array(fc.record({ records: fc.integer({ min: 1, max: 200 }), bytes: fc.integer({ min: 1, max: 40_000 }) }), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(batches, fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 100_000 }), (given, maxRecords, maxBytes) => {
      const all = given.map(({ records, bytes }, id) => batch(id, records, bytes))
      const jobs = packJobs(all, { maxRecords, maxBytes, overheadBytes: 3 })
      assert.deepEqual(jobs.flat(), all)
      for (const job of jobs) {
        const records = job.reduce((sum, each) => sum + each.records, 0)
        const bytes = job.reduce((sum, each) => sum + each.bytes + 3 * each.records, 0)
        // A batch cannot be cut: alone it may be above a limit.
        assert.ok(job.length === 1 || (records <= maxRecords && bytes <= maxBytes), `${records} records, ${bytes} bytes`)
      }
    }),
  )
})

test('jobs are about even: the last one is no straggler', () => {
  const jobs = packJobs(
    Array.from({ length: 11 }, (_, id) => batch(id, 100, 1)),
    { maxRecords: 1_000, maxBytes: 1e9, overheadBytes: 0 },
  )
  assert.deepEqual(
    jobs.map((job) => job.length),
    [6, 5],
  )
  assert.deepEqual(packJobs([], { maxRecords: 1, maxBytes: 1, overheadBytes: 0 }), [])
})

test('a phase goes by bulk from so many records on, each by its own count', () => {
  const counts = { added: 1_500, changed: 500, removed: 1_999 }
  assert.deepEqual(bulkPhases({ from: 2_000 }, counts), ['upsert'])
  assert.deepEqual(bulkPhases({ from: 1_999 }, counts), ['upsert', 'remove'])
  assert.deepEqual(bulkPhases({ from: 2_001 }, counts), [])
  assert.deepEqual(bulkPhases(undefined, counts), [])
})

test('a job is asked for soon at first and once a minute in the end', () => {
  assert.deepEqual([1, 2, 3, 50].map(pollMs), [1_000, 1_500, 2_250, 60_000])
  // An hour costs at most 75 calls.
  let [asked, ms] = [0, 0]
  while (ms < 3_600_000) ms += pollMs(++asked)
  assert.ok(asked <= 75, String(asked))
})
