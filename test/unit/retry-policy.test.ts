import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backoffMs, RETRY_AFTER_MS } from '../../activities/deliver/retry-policy.ts'

const LONGEST = 5 * 60_000

test('the pause starts at half a second, never grows beyond 5 minutes and an eighth, and is never nothing', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
      const ms = backoffMs(failures, random)
      assert.ok(Number.isSafeInteger(ms) && ms >= 437 && ms <= LONGEST * 1.125, String(ms))
    }),
  )
  assert.deepEqual([0, 1, 2, 3].map((failures) => backoffMs(failures, 0.5)), [500, 1000, 2000, 4000])
  assert.deepEqual([9, 10, 100].map((failures) => backoffMs(failures, 0.5)), [256_000, LONGEST, LONGEST])
})

test('two workers that fail together come back apart: the pause spreads over a quarter of itself', () => {
  assert.deepEqual([backoffMs(4, 0), backoffMs(4, 1)], [7000, 9000])
})

test('rejections: data waits for a person or a new version, the others come back ever later, at most a day apart', () => {
  assert.deepEqual([RETRY_AFTER_MS.invalid, RETRY_AFTER_MS.data], [null, null])
  for (const kind of ['conflict', 'missing', 'permission', 'locked'] as const) {
    const steps = RETRY_AFTER_MS[kind]
    assert.ok(steps && steps.length > 0)
    assert.deepEqual([...steps], [...steps].sort((a, b) => a - b))
    assert.ok(Math.max(...steps) <= 86_400_000)
  }
})
