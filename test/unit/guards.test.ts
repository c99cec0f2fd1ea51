import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crossedGuards, crossedRejected, durationMs } from '../../activities/plan/guards.ts'

const plan = (counts: Partial<Parameters<typeof crossedGuards>[1]>) => ({
  read: 100,
  baseline: 100,
  added: 0,
  changed: 0,
  removed: 0,
  ...counts,
})
/** The names of the guards that a plan crosses. */
const crossed = (guards: Parameters<typeof crossedGuards>[0], counts: Partial<Parameters<typeof crossedGuards>[1]>) =>
  crossedGuards(guards, plan(counts)).map((sentence) => sentence.split(':')[0])

test('maxRemoved is 20 % of the baseline by default; the limit itself is allowed', () => {
  assert.deepEqual(crossed(undefined, { removed: 20 }), [])
  assert.deepEqual(crossed(undefined, { removed: 21 }), ['maxRemoved'])
  assert.deepEqual(crossed({}, { removed: 201, baseline: 1000 }), ['maxRemoved'])
})

test('a share never holds fewer than 10 removals, however small the baseline', () => {
  assert.deepEqual(crossed(undefined, { removed: 10, baseline: 10 }), [])
  assert.deepEqual(crossed(undefined, { removed: 11, baseline: 11 }), ['maxRemoved'])
  assert.deepEqual(crossed({ maxRemoved: '0%' }, { removed: 10 }), [])
  assert.deepEqual(crossed({ maxRemoved: '0%' }, { removed: 11 }), ['maxRemoved'])
  assert.deepEqual(crossed({ maxRemoved: '100%' }, { removed: 100 }), [])
})

test('maxRemoved as a number is that number, 0 included', () => {
  assert.deepEqual(crossed({ maxRemoved: 0 }, {}), [])
  assert.deepEqual(crossed({ maxRemoved: 0 }, { removed: 1 }), ['maxRemoved'])
  assert.deepEqual(crossed({ maxRemoved: 3 }, { removed: 3 }), [])
  assert.deepEqual(crossed({ maxRemoved: 3 }, { removed: 4 }), ['maxRemoved'])
})

test('a share that comes out even is allowed to the record: 29 of 100 is not above 29 %', () => {
  for (let percent = 11; percent <= 100; percent++) {
    const guards = { maxRemoved: `${percent}%`, maxChanged: `${percent}%` }
    assert.deepEqual(crossed(guards, { removed: percent, changed: percent }), [], `${percent} %`)
    assert.deepEqual(crossed(guards, { removed: percent + 1, changed: percent + 1 }), ['maxRemoved', 'maxChanged'], `${percent} %`)
    assert.equal(crossedRejected({ maxRejected: `${percent}%` }, { all: 100, rejected: percent }), null, `${percent} %`)
  }
})

test('maxChanged is off by default; it counts added and changed, of the rows of the model', () => {
  assert.deepEqual(crossed(undefined, { added: 100, changed: 100 }), [])
  assert.deepEqual(crossed({ maxChanged: '60%' }, { added: 30, changed: 30 }), [])
  assert.deepEqual(crossed({ maxChanged: '60%' }, { added: 30, changed: 31 }), ['maxChanged'])
  assert.deepEqual(crossed({ maxChanged: '60%' }, { added: 1, read: 1, baseline: 0 }), ['maxChanged'], 'of the rows, not of the baseline')
  assert.deepEqual(crossed({ maxChanged: 5 }, { added: 3, changed: 2 }), [])
  assert.deepEqual(crossed({ maxChanged: 5 }, { added: 3, changed: 3 }), ['maxChanged'])
})

test('an empty model is held only if the baseline has records and nobody allowed it', () => {
  assert.deepEqual(crossed(undefined, { read: 0, baseline: 1 }), ['emptyModel'])
  assert.deepEqual(crossed(undefined, { read: 0, baseline: 0 }), [])
  assert.deepEqual(crossed(undefined, { read: 1, baseline: 1 }), [])
  assert.deepEqual(crossed({ emptyModel: 'allow' }, { read: 0, baseline: 1 }), [])
  assert.deepEqual(crossed(undefined, { read: 0, baseline: 50, removed: 50 }), ['emptyModel', 'maxRemoved'])
})

test('the sentences say which guard, how much and what the limit is', () => {
  assert.deepEqual(crossedGuards({ maxChanged: 5 }, plan({ read: 0, removed: 30, changed: 6 })), [
    'emptyModel: the model has no rows, the baseline has 100',
    'maxRemoved: 30 of 100 records would be removed, the limit is 20%',
    'maxChanged: 6 of 0 rows would be sent, the limit is 5',
  ])
})

test('maxRejected judges from the hundredth outcome on', () => {
  assert.equal(crossedRejected(undefined, { all: 99, rejected: 99 }), null)
  assert.equal(crossedRejected(undefined, { all: 100, rejected: 50 }), null)
  assert.equal(crossedRejected(undefined, { all: 100, rejected: 51 }), 'maxRejected: 51 of 100 records were rejected, the limit is 50%')
  assert.equal(crossedRejected({ maxRejected: 3 }, { all: 1000, rejected: 3 }), null)
  assert.notEqual(crossedRejected({ maxRejected: 3 }, { all: 1000, rejected: 4 }), null)
  assert.equal(crossedRejected({ maxRejected: 0 }, { all: 99, rejected: 1 }), null)
  assert.notEqual(crossedRejected({ maxRejected: 0 }, { all: 100, rejected: 1 }), null)
  assert.equal(crossedRejected({ maxRejected: '100%' }, { all: 100, rejected: 100 }), null)
})

test('durations', () => {
  assert.deepEqual(['90s', '15m', '24h', '7d'].map(durationMs), [90_000, 900_000, 86_400_000, 604_800_000])
})
