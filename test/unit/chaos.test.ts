import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { draw, type Target } from '../chaos/draw.ts'
import { parseJournal, repeatKills, type Entry } from '../chaos/journal.ts'
import { judge, type Evidence } from '../chaos/judge.ts'
import type { Row } from '../chaos/schedule.ts'

const target: Target = {
  slug: 'somewhere',
  requests: { upsert: { method: 'POST', path: '/upsert' } },
  refusal: { do: 'status', status: 400 },
  throttle: { do: 'status', status: 429 },
}

test('a schedule follows from its seed, and another seed gives another one', () => {
  assert.deepEqual(draw(7, 60, target), draw(7, 60, target))
  assert.notDeepEqual(draw(7, 60, target).steps, draw(8, 60, target).steps)
})

test('the rows of any schedule end without a shared or broken e-mail', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const { rows, steps, repair } = draw(seed, 30, target)
      const table = new Map<number, Row>()
      for (const step of [{ do: 'rows' as const, put: rows, remove: [] }, ...steps.map((timed) => timed.step), repair]) {
        if (step.do !== 'rows') continue
        for (const id of step.remove) assert.ok(table.delete(id))
        for (const row of step.put) table.set(row.id, row)
      }
      const emails = [...table.values()].map(({ email }) => email)
      assert.equal(new Set(emails).size, emails.length)
      assert.ok(emails.every((email) => email.includes('@')))
    }),
    { numRuns: 25 },
  )
})

test('a repetition kills a process where it had been killed, and its step no longer does', () => {
  const schedule = draw(7, 600, target)
  const index = schedule.steps.findIndex(({ step }) => step.do === 'kill' && step.who === 'worker')
  const step = schedule.steps[index]?.step
  assert.ok(step)
  const lines: Entry[] = [
    { ms: 1, step, index, result: 'done', struck: 3 },
    { ms: 2, died: 'worker', nth: 3, passed: { at: 'after-claim', pass: 5 } },
  ]
  const repeated = repeatKills(schedule, parseJournal(lines.map((line) => JSON.stringify(line)).join('\n')))
  assert.deepEqual(repeated.fates.worker[3], { at: 'after-claim', pass: 5, action: 'kill' })
  assert.deepEqual(repeated.steps[index]?.step, { do: 'nothing' })
  assert.equal(repeated.steps.length, schedule.steps.length)
})

const run = {
  id: 'r',
  state: 'succeeded',
  full: false,
  dryRun: false,
  counts: { added: 1, delivered: 1 },
  waiting: null,
  error: null,
  temporal: { workflowId: 'sync/contacts', runId: 'x', url: '' },
}

const clean: Evidence = {
  wanted: new Map([['a@example.com', 'a']]),
  held: new Map([['a@example.com', 'a']]),
  writes: [{ object: 'contacts', key: 'a@example.com', recordId: '1', content: 'x', effective: 1, repeated: 0 }],
  repeated: 0,
  atLeastOnce: false,
  mismatches: [],
  runs: [run],
  last: { ...run, counts: { read: 1, unchanged: 1 } },
  books: { doubt: 0 },
}

test('the judge finds what is lost, left over, doubled, miscounted or still on the books', () => {
  const nothing = { lost: [], doubled: [], untrue: [] }
  const found = (change: Partial<Evidence>) => {
    const { lost, doubled, untrue } = judge({ ...clean, ...change })
    return [lost.length, doubled.length, untrue.length]
  }
  assert.deepEqual(judge(clean), nothing)
  assert.deepEqual(found({ held: new Map() }), [1, 0, 0])
  assert.deepEqual(found({ held: new Map([...clean.held, ['b@example.com', 'b']]) }), [1, 0, 0])
  assert.deepEqual(found({ held: new Map([['a@example.com', 'old']]) }), [1, 0, 0])
  assert.deepEqual(found({ writes: clean.writes.map((write) => ({ ...write, effective: 2 })) }), [0, 1, 0])
  assert.deepEqual(found({ repeated: 1 }), [0, 1, 0])
  assert.deepEqual(found({ repeated: 1, atLeastOnce: true }), [0, 0, 0])
  assert.deepEqual(found({ atLeastOnce: true, mismatches: ['b1'] }), [0, 1, 0])
  for (const counts of [{ added: 2, delivered: 1 }, { added: 1, delivered: 1, owed: 1 }, { inDoubt: 1 }])
    assert.deepEqual(found({ runs: [{ ...run, counts }] }), [0, 0, 1])
  assert.deepEqual(found({ runs: [{ ...run, state: 'delivering' }] }), [0, 0, 1])
  assert.deepEqual(found({ last: { ...clean.last, state: 'partial', counts: { added: 1, delivered: 1, owed: 1 } } }), [0, 0, 2])
  assert.deepEqual(found({ books: { doubt: 2 } }), [0, 0, 1])
})
