import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { classifyFailure, type Phase } from '../../connectors/snowflake/errors.ts'

/** What errors of the driver mean, in the shapes that it gives them. */

const target = { address: 'acct.snowflakecomputing.com', username: 'TAILRACE', warehouse: 'WH' }
const failed = (code: string, sqlState: string, message: string): object => ({ name: 'OperationFailedError', code, sqlState, message })

const CASES: readonly [string, Phase, object, string, RegExp][] = [
  ['wrong credentials', 'connect', failed('390144', '', 'JWT token is invalid. [uuid]'), 'auth', /JWT token is invalid/],
  ['no such account', 'connect', { name: 'RequestFailedError', code: 401002, response: { status: 404 } }, 'config', /no Snowflake account/],
  ['down', 'connect', { name: 'RequestFailedError', code: 401002, response: { status: 503 } }, 'source', /HTTP 503/],
  ['no host', 'connect', { name: 'NetworkError', code: 401001, cause: { code: 'ENOTFOUND' } }, 'source', /host name is not known/],
  ['TLS', 'connect', { name: 'NetworkError', code: 401001, cause: { code: 'CERT_HAS_EXPIRED' } }, 'config', /not trusted/],
  ['the OAuth client', 'connect', { name: 'AxiosError', code: 'ERR_BAD_REQUEST', response: { status: 401 } }, 'auth', /OAuth client/],
  ['a parameter', 'set-up', failed('000002', '22023', "invalid parameter 'X'"), 'config', /could not be set up/],
  [
    'a syntax error',
    'prepare',
    failed('001003', '42000', 'SQL compilation error:\nsyntax error line 1'),
    'query',
    /error: syntax error line 1/,
  ],
  ['two statements', 'prepare', failed('000008', '0A000', 'Actual statement count 2'), 'config', /more than one statement/],
  ['a bad row', 'run', failed('100038', '22018', "Numeric value 'private' is not recognized"), 'query', /a text is no number \(100038/],
  ['an unknown bad row', 'run', failed('100999', '22000', "Value 'private'"), 'query', /refused a row \(100999/],
  ['a name that is gone', 'run', failed('002003', '42S02', "Object 'private' does not exist"), 'query', /002003/],
  ['a timeout', 'run', failed('000630', '57014', 'Statement reached its statement or warehouse timeout'), 'source', /statement timeout/],
  ['a cancelled query', 'run', failed('000604', '57014', 'SQL execution canceled'), 'source', /somebody cancelled/],
  ['no warehouse', 'run', failed('000606', '57P03', 'No active warehouse selected'), 'config', /no warehouse "WH"/],
  ['a session that ended', 'run', failed('390111', '', 'Session no longer exists'), 'source', /session has ended/],
  [
    'a chunk',
    'run',
    { name: 'LargeResultSetError', code: 402002, response: { status: 403 } },
    'source',
    /connection was lost \(HTTP 403\)/,
  ],
  ['a reset', 'run', { name: 'NetworkError', code: 402001, cause: { code: 'ECONNRESET' } }, 'source', /connection was lost/],
]

for (const [what, phase, error, kind, words] of CASES) {
  test(`${what}: ${kind}`, () => {
    const classified = classifyFailure(Object.assign(new Error(), error), { target, phase })
    assert.equal(classified.kind, kind)
    assert.match(classified.message, words)
    assert.ok(!inspect(classified).includes('private'))
  })
}
