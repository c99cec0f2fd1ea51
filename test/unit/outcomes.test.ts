import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordOutcome, RejectionClass } from '../../connectors/contract.ts'
import { settlementOf, type FinalOutcome } from '../../activities/deliver/outcomes.ts'
import { RETRY_AFTER_MS } from '../../activities/deliver/retry-policy.ts'
import { SegmentWriter, unpack } from '../../state/segment.ts'

const delivered = (id: string): RecordOutcome => ({ id, status: 'delivered' })
const rejected = (id: string, kind: RejectionClass = 'data'): RecordOutcome => ({
  id,
  status: 'rejected',
  class: kind,
  code: 'INVALID_EMAIL',
  field: 'email',
  message: 'not an e-mail address',
})

/** A batch with one letter of `ops` a record; `keys` names them, by default a, b, c, … */
function batch(ops: string, options: { onBooks?: boolean; keys?: string; matches?: readonly string[] } = {}) {
  const keys = Array.from(options.keys ?? 'abcdefgh'.slice(0, ops.length))
  const writer = new SegmentWriter(options.matches !== undefined)
  for (const [i, key] of keys.entries()) writer.add(Buffer.from(key), Buffer.alloc(16, i + 1), options.matches?.[i] ?? null)
  const packed = writer.take()
  assert.ok(packed)
  const lines = keys.map((key, i) => JSON.stringify({ id: key, op: 'rx'.includes(ops[i] ?? '') ? 'delete' : 'upsert', key, fields: {} }))
  return { lines, of: { id: 1, attempt: 1, ops, entries: packed.entries, onBooks: options.onBooks ?? false } }
}

const settle = ({ of, lines }: ReturnType<typeof batch>, outcomes: readonly FinalOutcome[]) => settlementOf(of, lines, outcomes)
const keysOf = (part: ReturnType<typeof settle>['settlement']['acknowledged']) =>
  part === null || part === 'all' ? part : unpack(part.entries).map((entry) => entry.key.toString())

test('all delivered: the baseline learns the batch as it is, nothing else is written', () => {
  const { settlement, open } = settle(batch('aac'), [delivered('a'), delivered('b'), delivered('c')])
  assert.deepEqual(open, [])
  assert.deepEqual(settlement, {
    id: 1,
    attempt: 1,
    delivered: 3,
    skipped: 0,
    rejected: 0,
    acknowledged: 'all',
    outcomes: null,
    rejections: [],
    closed: { keys: [], matches: [] },
  })
})

test('some delivered: the baseline learns those only', () => {
  const { settlement } = settle(batch('aaa'), [delivered('a'), rejected('b'), delivered('c')])
  assert.deepEqual([settlement.delivered, settlement.rejected], [2, 1])
  assert.deepEqual(keysOf(settlement.acknowledged), ['a', 'c'])
  assert.deepEqual(settlement.outcomes, { 1: { outcome: 'rejected', code: 'INVALID_EMAIL', message: 'not an e-mail address' } })
})

test('none delivered: the baseline stays as it was', () => {
  const { settlement } = settle(batch('ac'), [rejected('a'), rejected('b')])
  assert.deepEqual([settlement.delivered, settlement.rejected, settlement.acknowledged], [0, 2, null])
})

test('skipped (insert) is acknowledged: the destination has the record', () => {
  const { settlement } = settle(batch('aa'), [{ id: 'a', status: 'skipped' }, delivered('b')])
  assert.deepEqual([settlement.delivered, settlement.skipped, settlement.acknowledged], [1, 1, 'all'])
  assert.deepEqual(settlement.outcomes, { 0: { outcome: 'skipped' } })
})

test('the removal of an old match value counts nowhere and acknowledges nothing', () => {
  const { settlement } = settle(batch('rx', { keys: 'ab', matches: ['a@x', 'old@x'], onBooks: true }), [delivered('a'), delivered('b')])
  assert.deepEqual([settlement.delivered, settlement.rejected], [1, 0])
  assert.deepEqual(keysOf(settlement.acknowledged), ['a'])
  assert.deepEqual(
    settlement.closed.matches.map(({ key, match }) => [key.toString(), match]),
    [
      ['a', 'a@x'],
      ['b', 'old@x'],
    ],
  )
  const refused = settle(batch('x', { matches: ['old@x'], onBooks: true }), [rejected('a')]).settlement
  assert.deepEqual([refused.rejected, refused.rejections.length, refused.acknowledged, refused.closed.keys.length], [0, 1, null, 0])
})

test('a record that was not to be sent after all leaves no trace but a note', () => {
  const { settlement, open } = settle(batch('rx', { matches: ['a@x', 'old@x'], onBooks: true }), [delivered('a'), null])
  assert.deepEqual(open, [])
  assert.deepEqual([settlement.delivered, keysOf(settlement.acknowledged)], [1, ['a']])
  assert.deepEqual(settlement.outcomes, { 1: { outcome: 'dropped' } })
  assert.deepEqual(
    settlement.closed.matches.map(({ match }) => match),
    ['a@x'],
  )
})

test('a refusal becomes a rejection with key, version and the schedule of its class', () => {
  const schedules = (['invalid', 'data', 'conflict', 'missing', 'permission', 'locked'] as const).map((kind) => {
    const { settlement } = settle(batch('c'), [rejected('a', kind)])
    const [rejection] = settlement.rejections
    assert.ok(rejection)
    assert.deepEqual(rejection, {
      id: Buffer.from('a'),
      key: 'a',
      op: 'upsert',
      fingerprint: Buffer.alloc(16, 1),
      class: kind,
      code: 'INVALID_EMAIL',
      field: 'email',
      message: 'not an e-mail address',
      retryAfterMs: RETRY_AFTER_MS[kind],
    })
    return rejection.retryAfterMs === null ? null : rejection.retryAfterMs[0]
  })
  assert.deepEqual(schedules, [null, null, 900_000, 900_000, 900_000, 30_000], 'data waits for a new version, locks pass soon')
})

test('in doubt and to be sent again stay open; only the first has to be read back', () => {
  const { settlement, open } = settle(batch('aaaa'), [
    delivered('a'),
    { id: 'b', status: 'in_doubt' },
    { id: 'c', status: 'retry', message: 'busy' },
    rejected('d'),
  ])
  assert.deepEqual(open, [
    { index: 1, inDoubt: true },
    { index: 2, inDoubt: false },
  ])
  assert.deepEqual([settlement.delivered, settlement.rejected, keysOf(settlement.acknowledged)], [1, 1, ['a']])
  assert.deepEqual([settlement.outcomes?.[1]?.outcome, settlement.outcomes?.[2]?.outcome], ['child', 'child'])
})

test('what was on the books is closed where the record was acknowledged, and nowhere else', () => {
  const outcomes = [delivered('a'), rejected('b'), { id: 'c', status: 'in_doubt' } as const, { id: 'd', status: 'skipped' } as const]
  const { settlement } = settle(batch('ccca', { onBooks: true, matches: ['a@x', 'b@x', 'c@x', 'd@x'] }), outcomes)
  assert.deepEqual(
    settlement.closed.keys.map((key) => key.toString()),
    ['a', 'd'],
  )
  assert.deepEqual(
    settlement.closed.matches.map(({ key, match }) => [key.toString(), match]),
    [
      ['a', 'a@x'],
      ['d', 'd@x'],
    ],
  )
  assert.deepEqual(settle(batch('ccca'), outcomes).settlement.closed, { keys: [], matches: [] }, 'not on the books')
})

test('a key whose removals are all refused is one rejection, not two: a statement cannot write one row twice', () => {
  const two = batch('rx', { keys: 'aa', matches: ['now@x', 'old@x'], onBooks: true })
  const { settlement } = settle(two, [rejected('1', 'permission'), rejected('2', 'locked')])
  assert.deepEqual(
    settlement.rejections.map(({ id, class: kind }) => [id.toString(), kind]),
    [['a', 'permission']],
  )
  assert.equal(settlement.rejected, 1)
})

test('a composite key is shown as its texts', () => {
  const { of } = batch('a')
  const line = JSON.stringify({ id: '1', op: 'upsert', key: ['eu', '7'], fields: {} })
  assert.deepEqual(settlementOf(of, [line], [rejected('1')]).settlement.rejections[0]?.key, ['eu', '7'])
})
