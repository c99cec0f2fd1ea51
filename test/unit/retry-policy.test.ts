import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quietMs, waitBeforeClaimMs } from '../../activities/deliver/deliver-batch.ts'
import { backoffMs, RETRY_AFTER_MS } from '../../activities/deliver/retry-policy.ts'
import { hubspot } from '../../connectors/hubspot/index.ts'
import { webhook } from '../../connectors/webhook/index.ts'
import type { OpenBatch } from '../../state/ledger.ts'

const LONGEST = 5 * 60_000

test('the pause starts at half a second, never grows beyond 5 minutes and a quarter, and is never nothing', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
      const ms = backoffMs(failures, random)
      assert.ok(Number.isSafeInteger(ms) && ms >= 500 && ms <= LONGEST * 1.25, String(ms))
    }),
  )
  assert.deepEqual(
    [0, 1, 2, 3].map((failures) => backoffMs(failures, 0)),
    [500, 1000, 2000, 4000],
  )
  assert.deepEqual(
    [9, 10, 100].map((failures) => backoffMs(failures, 0)),
    [256_000, LONGEST, LONGEST],
  )
})

test('two workers that fail together come back apart: the pause spreads over a quarter of itself', () => {
  assert.deepEqual([backoffMs(4, 0), backoffMs(4, 1)], [8000, 10_000])
})

test('rejections: data waits for a person or a new version, the others come back ever later, at most a day apart', () => {
  assert.deepEqual([RETRY_AFTER_MS.invalid, RETRY_AFTER_MS.data], [null, null])
  for (const kind of ['conflict', 'missing', 'permission', 'locked'] as const) {
    const steps = RETRY_AFTER_MS[kind]
    assert.ok(steps && steps.length > 0)
    assert.deepEqual(
      [...steps],
      [...steps].sort((a, b) => a - b),
    )
    assert.ok(Math.max(...steps) <= 86_400_000)
  }
})

const readable = hubspot.open({ accessToken: 'pat-x', timeoutSeconds: 10, lostRequestSeconds: 20 })
const unreadable = webhook.open({ url: 'https://example.com/hook', secret: `whsec_${Buffer.alloc(32, 7).toString('base64')}` })
const batch = (more: Partial<OpenBatch>): OpenBatch => ({
  id: 1,
  state: 'planned',
  attempt: 0,
  doubtful: false,
  phase: 'upsert',
  size: 1,
  waitMs: 0,
  sentAgoMs: null,
  abandoned: false,
  ...more,
})

test('a batch that a dead worker left is let alone until its request was aborted and cannot take effect any more', () => {
  assert.equal(quietMs(readable), 35_000, 'timeout, lost request, and how old a claim may be when the bytes leave')
  const left = batch({ state: 'sending', attempt: 1, sentAgoMs: 5_000, abandoned: true })
  assert.equal(waitBeforeClaimMs(left, readable), 30_000)
  assert.equal(waitBeforeClaimMs({ ...left, doubtful: true, attempt: 2 }, readable), 30_000, 'the second try too')
  assert.ok(waitBeforeClaimMs({ ...left, sentAgoMs: 40_000 }, readable) <= 0)
})

test('a batch that was given back waits as long as was said, not longer', () => {
  const back = batch({ state: 'sending', doubtful: true, attempt: 1, sentAgoMs: 1_000, waitMs: 4_000 })
  assert.equal(waitBeforeClaimMs(back, readable), 4_000)
  assert.equal(waitBeforeClaimMs(batch({}), readable), 0)
})

test('what cannot be read back is sent again at once, the same bytes', () => {
  assert.equal(quietMs(unreadable), null)
  assert.equal(waitBeforeClaimMs(batch({ state: 'sending', attempt: 1, sentAgoMs: 0, abandoned: true }), unreadable), 0)
})
