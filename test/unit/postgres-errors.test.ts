import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { ConnectorError, type ErrorKind } from '../../connectors/errors.ts'
import { classifyFailure, type Circumstances } from '../../connectors/pgwire/errors.ts'
import { POSTGRES } from '../../connectors/postgres/dialect.ts'
import { nameSqlstate } from '../../connectors/pgwire/sqlstates.ts'

const circumstances: Circumstances = {
  dialect: POSTGRES,
  address: 'db:5432',
  user: 'me',
  database: 'shop',
  phase: 'run',
  statementTimeoutSeconds: 1800,
}

/** As pg hands on what the server sends. */
function server(code: string, fields: Record<string, string> = {}): Error {
  return Object.assign(new Error('private-value in the message'), {
    severity: 'ERROR',
    code,
    detail: 'private-value',
    where: 'private-value',
    routine: 'somewhere',
    ...fields,
  })
}

function driver(message: string, code?: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

describe('what a failure of PostgreSQL means', () => {
  const sent: [string, ErrorKind, RegExp][] = [
    ['22P02', 'query', /^the model’s query failed: 22P02 invalid_text_representation$/],
    ['22012', 'query', /22012 division_by_zero/],
    ['42883', 'query', /42883 undefined_function$/],
    ['0A000', 'query', /0A000 feature_not_supported/],
    ['P0001', 'query', /P0001 raise_exception/],
    ['55000', 'query', /55000 object_not_in_prerequisite_state/],
    ['54001', 'query', /54001/],
    ['28P01', 'auth', /28P01 invalid_password for user "me"/],
    ['28000', 'auth', /pg_hba\.conf/],
    ['3D000', 'config', /no database "shop"/],
    ['08006', 'source', /^PostgreSQL at db:5432: 08006 connection_failure$/],
    ['40001', 'source', /hot_standby_feedback/],
    ['57P01', 'source', /57P01 admin_shutdown.*hot_standby_feedback/],
    ['57014', 'source', /statementTimeoutSeconds \(1800\)/],
    ['53300', 'source', /too_many_connections/],
    ['55P03', 'source', /locked/],
    ['XX000', 'source', /internal_error/],
    ['25P03', 'source', /idle/],
  ]
  for (const [code, kind, message] of sent) {
    it(`SQLSTATE ${code}: ${kind}`, () => {
      const error = classifyFailure(server(code), circumstances)
      assert.equal(error.kind, kind)
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.ok(!inspect(error).includes('private-value'), inspect(error))
    })
  }

  it('words, hint and place of class 42 while nothing but the statement is known', () => {
    const written = { sql: 'select a,\n  b\nfrom t', offset: 20 }
    const failed = Object.assign(server('42703'), { message: 'column "b" does not exist', hint: 'Perhaps c.', position: String(20 + 13) })
    const { kind, message } = classifyFailure(failed, { ...circumstances, phase: 'prepare', written })
    assert.equal(kind, 'query')
    assert.equal(message, 'the model’s SQL is not valid: column "b" does not exist at line 2, column 3 (SQLSTATE 42703). Hint: Perhaps c.')
  })

  it('a place outside the user’s SQL is not told', () => {
    const failed = server('42601', { position: '3' })
    assert.doesNotMatch(
      classifyFailure(failed, { ...circumstances, phase: 'prepare', written: { sql: 'select 1', offset: 20 } }).message,
      /line/,
    )
  })

  const local: [Error, ErrorKind, RegExp][] = [
    [driver('connect ECONNREFUSED', 'ECONNREFUSED'), 'source', /^PostgreSQL at db:5432 cannot be reached: the connection was refused/],
    [driver('getaddrinfo', 'ENOTFOUND'), 'source', /host name is not known/],
    [driver('connect', 'ETIMEDOUT'), 'source', /no connection in time/],
    [driver('timeout expired'), 'source', /no connection in time/],
    [new AggregateError([driver('connect', 'ECONNREFUSED')]), 'source', /refused/],
    [driver('write', 'EPIPE'), 'source', /the connection was lost \(EPIPE\)$/],
    [driver('Connection terminated unexpectedly'), 'source', /the connection was lost$/],
    [driver('self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'config', /caFile/],
    [driver('altnames', 'ERR_TLS_CERT_ALTNAME_INVALID'), 'config', /another host name/],
    [driver('The server does not support SSL connections'), 'config', /offers no TLS/],
    [driver('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'), 'auth', /password/],
  ]
  for (const [given, kind, message] of local) {
    it(`${given.message || 'several addresses'}: ${kind}`, () => {
      const error = classifyFailure(given, circumstances)
      assert.equal(error.kind, kind)
      assert.match(error.message, message)
    })
  }

  it('a ConnectorError passes through', () => {
    const own = new ConnectorError('config', 'x')
    assert.equal(classifyFailure(own, circumstances), own)
  })

  it('codes without a name of their own go by their class', () => {
    assert.equal(nameSqlstate('08007'), '08007 connection_exception')
    assert.equal(nameSqlstate('ZZ999'), 'ZZ999')
  })
})
