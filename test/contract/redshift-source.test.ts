import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openRedshift, redshift } from '../../connectors/redshift/index.ts'
import type { PostgresFixture } from './postgres-fixture.ts'
import { redshiftFixture } from './redshift-fixture.ts'
import { redshiftProxy } from './redshift-wire.ts'
import { failure, readAll, request } from './source-fixture.ts'
import { sourceSuite } from './source-suite.ts'

process.env['TZ'] = 'America/New_York'

sourceSuite('redshift', redshiftFixture)

describe('Redshift’s own', { timeout: 60_000 }, () => {
  let fixture: PostgresFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await redshiftFixture()
  })
  after(() => fixture.close())

  it('a row that got lost on its way: source, as the counts differ', async () => {
    await using proxy = await redshiftProxy(fixture.url, { lose: 1 })
    const error = await failure(readAll(redshift.open({ url: proxy.url }), request(fixture.many(1500), ['id'], [])))
    assert.deepEqual([error.kind, error.message], ['source', 'short read: Redshift declared 1000 rows, 999 arrived'])
  })

  it('a semicolon behind an escaped quote is part of the string', async () => {
    const { rows } = await readAll(fixture.source, request({ sql: "select 'it\\'s; here' as id; -- '" }, ['id'], ['id']))
    assert.deepEqual(rows[0]?.values, ["it's; here"])
  })

  it('a query that is silent for long, but works, is left alone', async () => {
    const source = openRedshift({ url: fixture.url }, { silenceMs: 40 })
    const { rows } = await readAll(source, request({ sql: 'select 1 as id from pg_sleep(0.6)' }, ['id'], []))
    assert.equal(rows.length, 1)
  })

  it('statementTimeoutSeconds ends a query: source', async () => {
    const source = redshift.open({ url: fixture.url, statementTimeoutSeconds: 1 })
    const { kind, message } = await failure(readAll(source, request(fixture.slow, ['id'], [])))
    assert.equal(kind, 'source')
    assert.match(message, /^Redshift at .*statementTimeoutSeconds \(1\)/)
  })

  it('planner schemas are PostgreSQL’s and Snowflake’s', async () => {
    assert.throws(() => redshift.open({ url: fixture.url, plannerSchema: 'x' }), /redshift config/)
    assert.match((await fixture.source.check(signal)).detail, /as user/)
  })
})
