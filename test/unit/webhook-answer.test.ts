import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConnectorError, type ErrorKind } from '../../connectors/errors.ts'
import { readAnswer } from '../../connectors/webhook/answer.ts'

const NOW = Date.parse('2026-01-31T12:00:00Z')
const IDS = ['a', 'b', 'c']

function read(status: number, text = '', headers: Record<string, string> = {}) {
  return readAnswer({ status, headers, text }, IDS, 'webhook example.com', NOW)
}

function kind(status: number, text = ''): ErrorKind | 'none' {
  try {
    read(status, text)
    return 'none'
  } catch (error) {
    assert.ok(error instanceof ConnectorError)
    return error.kind
  }
}

describe('answer of a webhook receiver', () => {
  it('every status has its meaning', () => {
    const table: Record<string, number[]> = {
      none: [200, 201, 202, 204, 207],
      throttled: [408, 423, 425, 429],
      in_doubt: [500, 502, 503, 504, 599],
      refused: [400, 409, 413, 422],
      auth: [401, 403],
      gone: [410],
      destination: [300, 301, 302, 304, 307, 308, 402, 404, 405, 415, 451],
    }
    for (const [wanted, list] of Object.entries(table)) for (const status of list) assert.equal(kind(status), wanted, String(status))
  })

  it('a 5xx keeps its Retry-After', () => {
    assert.throws(() => read(503, '', { 'retry-after': '9' }), { kind: 'in_doubt', retryAfterMs: 9000, code: '503' })
  })

  it('2xx without results accepts all, whatever the body', () => {
    for (const text of [
      '',
      'ok',
      '<html></html>',
      '[]',
      'null',
      '{"received":3}',
      '{"results":[]}',
      '{"results":[{"id":"z","status":"rejected"},7]}',
    ]) {
      assert.deepEqual(
        read(200, text).map(({ status }) => status),
        ['delivered', 'delivered', 'delivered'],
        text,
      )
    }
  })

  it('results speak for their ids only, in any order; an unknown status or a contradiction is in doubt', () => {
    const long = 'x'.repeat(600)
    const results = [
      { id: 'c', status: 'rejected', message: long },
      { id: 'a', status: 'retry', message: 'busy' },
    ]
    assert.deepEqual(read(200, JSON.stringify({ results })), [
      { id: 'a', status: 'retry', message: 'busy' },
      { id: 'b', status: 'delivered' },
      { id: 'c', status: 'rejected', class: 'data', code: 'rejected', field: null, message: 'x'.repeat(500) },
    ])
    const odd = [{ id: 'a', status: 'failed' }, { id: 'b', status: 'ok' }, { id: 'b', status: 'rejected' }, { id: 'c' }]
    assert.deepEqual(
      read(200, JSON.stringify({ results: odd })).map(({ status }) => status),
      ['in_doubt', 'in_doubt', 'in_doubt'],
    )
  })

  it('results that cannot be read leave everything in doubt', () => {
    for (const text of ['{"results":[{"id":"a","sta', '{"results":"all fine"}', '{"results":null}'])
      assert.equal(kind(200, text), 'in_doubt', text)
  })
})
