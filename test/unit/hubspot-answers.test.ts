import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Mode, RecordOutcome } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { batchOutcomes, wholeRefusal, type Batch } from '../../connectors/hubspot/answers.ts'
import { parseObject } from '../../connectors/json-object.ts'
import { failureOf } from '../../connectors/hubspot/failures.ts'
import { grantedRate, pauseOf, untilReset } from '../../connectors/hubspot/throttle.ts'

function batch(emails: readonly string[], mode: Mode = 'upsert', remoteIds: readonly string[] = []): Batch {
  const inputs = emails.map((email, index) => ({
    record: {
      id: `v${index}`,
      op: 'upsert' as const,
      match: email,
      folded: email.toLowerCase(),
      fields: { email, firstname: `name-${index}` },
    },
    remoteId: remoteIds[index] ?? null,
  }))
  return { inputs, match: 'email', mode }
}

function told(outcomes: readonly RecordOutcome[]): Record<string, string> {
  return Object.fromEntries(
    outcomes.map((outcome) => [outcome.id, outcome.status === 'rejected' ? `${outcome.class}/${outcome.code}` : outcome.status]),
  )
}

const rule = (error: string, name: string, message: string): string =>
  `Property values were not valid: ${JSON.stringify([{ isValid: false, message, error, name }])}`
const rowError = (trace: string | null, message: string, category = 'VALIDATION_ERROR'): object => ({
  status: 'error',
  category,
  message,
  context: trace === null ? {} : { objectWriteTraceId: [trace] },
})

describe('hubspot answers', () => {
  it('matches by trace id, whatever the order and whatever else is in the results', () => {
    const results = [
      { id: '9', objectWriteTraceId: 'v2' },
      { id: '8', objectWriteTraceId: 'someone else' },
      { id: '7', objectWriteTraceId: 'v0', properties: { email: 'b@x.y' } },
    ]
    assert.deepEqual(told(batchOutcomes(batch(['a@x.y', 'b@x.y', 'c@x.y']), { results })), {
      v0: 'delivered',
      v1: 'in_doubt',
      v2: 'delivered',
    })
  })

  it('without trace ids it matches by HubSpot’s id, then by the match value; never by position', () => {
    const byId = batchOutcomes(batch(['a@x.y', 'b@x.y'], 'update', ['1', '2']), { results: [{ id: '2' }] })
    assert.deepEqual(told(byId), { v0: 'in_doubt', v1: 'delivered' })
    const byMatch = batchOutcomes(batch(['A@x.y', 'b@x.y']), {
      results: [
        { id: '77', properties: { email: 'a@x.y' } },
        { id: '78', properties: {} },
      ],
    })
    assert.deepEqual(told(byMatch), { v0: 'delivered', v1: 'in_doubt' })
  })

  it('rejects what the errors name, with class, code, field and HubSpot’s words without the value', () => {
    const errors = [
      rowError('v0', rule('INVALID_EMAIL', 'email', 'Email address a@x.y is invalid')),
      rowError('v1', rule('CONFLICTING_UNIQUE_VALUE', 'external_id', 'another record already has that value')),
      rowError('v2', 'gone', 'OBJECT_NOT_FOUND'),
      rowError('v3', 'no', 'MISSING_SCOPES'),
      rowError('v4', 'later', 'RATE_LIMITS'),
      rowError('v5', 'oops', 'INTERNAL_ERROR'),
    ]
    const outcomes = batchOutcomes(batch(['a@x.y', 'b@x.y', 'c@x.y', 'd@x.y', 'e@x.y', 'f@x.y', 'g@x.y']), { results: [], errors })
    assert.deepEqual(told(outcomes), {
      v0: 'data/INVALID_EMAIL',
      v1: 'conflict/CONFLICTING_UNIQUE_VALUE',
      v2: 'missing/OBJECT_NOT_FOUND',
      v3: 'permission/MISSING_SCOPES',
      v4: 'retry',
      v5: 'in_doubt',
      v6: 'in_doubt',
    })
    const [first] = outcomes
    assert.ok(first?.status === 'rejected')
    assert.deepEqual([first.field, first.message], ['email', 'email: INVALID_EMAIL. HubSpot says: Email address … is invalid'])
  })

  it('a record in both lists is in doubt; an error without a name is about the only record or about nobody', () => {
    const body = { results: [{ objectWriteTraceId: 'v0' }], errors: [rowError('v0', 'no')] }
    assert.deepEqual(told(batchOutcomes(batch(['a@x.y']), body)), { v0: 'in_doubt' })
    const nameless = { results: [], errors: [rowError(null, rule('INVALID_OPTION', 'plan', 'x'))] }
    assert.deepEqual(told(batchOutcomes(batch(['a@x.y']), nameless)), { v0: 'data/INVALID_OPTION' })
    assert.deepEqual(told(batchOutcomes(batch(['a@x.y', 'b@x.y']), nameless)), { v0: 'in_doubt', v1: 'in_doubt' })
  })

  it('a conflict over the match value: skipped under insert, a race under upsert; over another field a conflict', () => {
    const exists = parseObject('{"status":"error","category":"CONFLICT","message":"Contact already exists. Existing ID: 5"}')
    assert.deepEqual(told(wholeRefusal(batch(['a@x.y'], 'insert'), 409, exists)), { v0: 'skipped' })
    assert.deepEqual(told(wholeRefusal(batch(['a@x.y'], 'upsert'), 409, exists)), { v0: 'locked/CONFLICT' })
    const other = { ...batch(['a@x.y'], 'insert'), match: 'external_id' }
    assert.deepEqual(told(wholeRefusal(other, 409, exists)), { v0: 'conflict/CONFLICT' })
    assert.throws(
      () => wholeRefusal(batch(['a@x.y', 'b@x.y'], 'insert'), 409, exists),
      (error: unknown) => error instanceof ConnectorError && error.kind === 'refused' && error.code === 'CONFLICT',
    )
  })

  it('what is neither result nor refusal: who may have applied what', () => {
    const kind = (status: number, text: string, writes = true): string | null =>
      failureOf({ status, body: parseObject(text), foreign: text.startsWith('<'), what: 'a batch', writes })?.kind ?? null
    const cases: [number, string, string | null, string | null][] = [
      [200, '{}', null, null],
      [204, '', null, null],
      [200, '<html>', 'in_doubt', 'unreachable'],
      [207, '{"resul', 'in_doubt', 'unreachable'],
      [400, '{}', null, null],
      // A proxy's page had the whole batch split and every record rejected.
      [400, '<html>', 'in_doubt', 'unreachable'],
      [413, '<html>', null, null],
      [400, '{"message":"Unable to infer object type from: cars"}', 'config', 'config'],
      [401, '{}', 'auth', 'auth'],
      [403, '{"category":"MISSING_SCOPES"}', 'auth', 'auth'],
      [404, '{"category":"OBJECT_NOT_FOUND"}', null, null],
      [404, '<html>', 'config', 'config'],
      [409, '{}', null, null],
      [414, '', 'destination', 'destination'],
      [302, '', 'destination', 'destination'],
      [502, '<html>', 'in_doubt', 'unreachable'],
      [524, '', 'in_doubt', 'unreachable'],
    ]
    for (const [status, text, writing, reading] of cases)
      assert.deepEqual([kind(status, text), kind(status, text, false)], [writing, reading], `${status} ${text}`)
    const scopes = failureOf({
      status: 403,
      body: parseObject('{"errors":[{"context":{"requiredScopes":["crm.x.write"]}}]}'),
      what: 'a batch',
      writes: true,
    })
    assert.match(scopes?.message ?? '', /MISSING_SCOPES: crm\.x\.write/)
  })

  it('reads both shapes of 429, 423 and 477', () => {
    const pause = (status: number, body: string, headers: Record<string, string> = {}): unknown => {
      const found = pauseOf(status, headers, parseObject(body), 0)
      return found === null ? null : 'daily' in found ? 'daily' : found.ms
    }
    assert.equal(pause(429, '{"policyName":"TEN_SECONDLY_ROLLING"}'), 10_000)
    assert.equal(pause(429, '{"message":"You have reached your ten_secondly_rolling limit.","category":"RATE_LIMITS"}'), 10_000)
    assert.equal(pause(429, '{"policyName":"SECONDLY"}'), 1_000)
    assert.equal(pause(429, '{"message":"You have reached your secondly limit.","category":"RATE_LIMITS"}'), 1_000)
    assert.equal(pause(429, '{"message":"You have reached your daily limit."}'), 'daily')
    assert.equal(pause(429, '<html>', { 'retry-after': '7' }), 7_000)
    assert.equal(pause(423, ''), 2_000)
    assert.equal(pause(423, '', { 'retry-after': '30' }), 30_000)
    assert.equal(pause(477, '', { 'retry-after': '86400' }), 86_400_000)
    assert.equal(pause(477, ''), 60_000)
    assert.equal(pause(503, ''), null)
  })

  it('the daily limit ends at the account’s midnight, in an unknown zone perhaps at the next full hour', () => {
    const now = Date.parse('2026-01-31T22:30:00.250Z')
    assert.equal(untilReset(now, 'UTC'), 90 * 60_000 - 250)
    assert.equal(untilReset(now, 'Europe/Berlin'), 30 * 60_000 - 250)
    assert.equal(untilReset(now, 'Asia/Kolkata'), 20 * 3_600_000 - 250)
    assert.equal(untilReset(now, null), 30 * 60_000 - 250)
    assert.equal(untilReset(now, 'No/Where'), 30 * 60_000 - 250)
    assert.equal(grantedRate({ 'x-hubspot-ratelimit-max': '100', 'x-hubspot-ratelimit-interval-milliseconds': '10000' }), 9)
    assert.equal(grantedRate({ 'x-hubspot-ratelimit-daily': '650000' }), null)
  })
})
