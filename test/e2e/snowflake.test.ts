import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import { held, report as received } from '../harness/contacts.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'
import { snowflakeProcess, type Report, type SnowflakeProcess } from '../snowflake/process.ts'

/**
 * A model in Snowflake to a webhook through the whole product: the vendor's own driver against the stand-in of test/snowflake, real
 * workers that are killed while a query runs. Queries are counted at the stand-in: a warehouse is paid by the query.
 */
describe('from Snowflake', { timeout: 600_000 }, () => {
  let stack: Stack
  let snowflake: SnowflakeProcess
  let worker: Role
  before(async () => {
    snowflake = await snowflakeProcess()
    const { token, ...config } = snowflake.config.token
    stack = await startStack({ SNOWFLAKE_TOKEN: token, TAILRACE_FAILPOINTS: 'none' })
    await stack.start('api')
    worker = await stack.start('worker')
    const columns = 'id decimal(38, 0), email varchar, name varchar, seen timestamp_ns, score decimal(20, 10)'
    await snowflake.set(`create table contacts (${columns})`)
    await snowflake.set(
      `insert into contacts select i, 'person' || i || '@example.com', 'one', '2026-01-31 23:59:59.123456789', 0.1234567891 from range(1, 2001) t(i)`,
    )
    await stack.apply([
      { kind: 'Source', name: 'snow', connector: 'snowflake', config: { ...config, token: '${env:SNOWFLAKE_TOKEN}' } },
      ...sync('contacts', 'select id, email, name, seen, score from contacts'),
      // Takes three seconds wherever it stands.
      ...sync('slow', 'select c.id, c.email, c.name, c.seen, c.score from contacts c, (select system$wait(3) as waited) w'),
      {
        kind: 'Source',
        name: 'inside',
        connector: 'snowflake',
        config: { ...config, token: '${env:SNOWFLAKE_TOKEN}', plannerSchema: 'tailrace' },
      },
      ...sync('compared', 'select id, email, name, seen, score from compared', 'inside'),
      ...sync('endless', 'select c.id, c.email, c.name, c.seen, c.score from contacts c, (select system$wait(120) as waited) w'),
    ])
  })
  after(async () => {
    await stack.stop()
    await snowflake.close()
  })

  const sync = (name: string, sql: string, source = 'snow'): object[] => [
    { kind: 'Model', name, source, sql, primaryKey: 'id' },
    {
      kind: 'Destination',
      name: `${name}-target`,
      connector: 'webhook',
      config: { url: `${stack.sandbox.url}/webhook/${name}`, secret: '${env:WEBHOOK_SECRET}', allowPrivateNetwork: true },
    },
    {
      kind: 'Sync',
      name,
      model: name,
      destination: `${name}-target`,
      mode: 'mirror',
      fields: { email: 'email', name: 'name', seen: 'seen', score: 'score' },
    },
  ]

  /** The queries that a run paid for. */
  const paid = async (run: string): Promise<Report['queries']> => {
    const { queries } = await snowflake.report()
    return queries.filter(({ tag, asynchronous }) => asynchronous && tag.includes(run))
  }
  const accept = async (name: string): Promise<string> =>
    String((await stack.call('POST', `/v1/syncs/${name}/runs`, { full: true })).body['id'])

  test('rows arrive once, with every digit; the next run finds nothing to do', async () => {
    const first = await stack.run('contacts')
    assert.deepEqual([first.state, first.counts['delivered']], ['succeeded', 2000], JSON.stringify(first))
    assert.equal(Object.keys(await held(stack, 'webhook')).length, 2000)
    const { totals, findings } = await received(stack, 'webhook')
    assert.equal(totals.effective, 2000)
    assert.deepEqual(findings['mismatches'], [])
    const { body } = await stack.call('GET', `/v1/runs/${first.id}/changes?key=7`)
    const [change] = body['data'] as { fields: Record<string, unknown> }[]
    assert.ok(change)
    assert.deepEqual(change.fields['seen'], '2026-01-31T23:59:59.123456789')
    assert.match(JSON.stringify(change.fields['score']), /0\.1234567891/)

    await snowflake.set(`update contacts set name = 'two' where id = 7; delete from contacts where id = 8`)
    const second = await stack.run('contacts')
    const { unchanged, changed, removed } = second.counts
    assert.deepEqual([second.state, unchanged, changed, removed], ['succeeded', 1998, 1, 1], JSON.stringify(second))

    const [query, ...others] = await paid(first.id)
    assert.deepEqual(others, [])
    const { app, sync, run, step } = JSON.parse(query?.tag ?? '{}') as Record<string, string>
    assert.deepEqual({ app, sync, run, step }, { app: 'tailrace', sync: 'contacts', run: first.id, step: 'plan' })
    assert.deepEqual(query?.types, ['text'])
  })

  // The tag is written down, then the query submitted, then its id written down.
  for (const [failpoint, what] of [
    ['after-query=kill@1', 'the query was not submitted yet'],
    ['before-query=kill@2', 'the query runs and nobody wrote its id down'],
    ['after-query=kill@2', 'the query runs'],
  ] as const) {
    test(`the worker is killed when ${what}: another one goes on, the warehouse is paid once`, async () => {
      await worker.arm(failpoint)
      const id = await accept('slow')
      await worker.ended
      worker = await stack.start('worker')
      const run = await stack.ended(id)
      assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 2000 - 1], JSON.stringify(run))
      assert.deepEqual(
        (await paid(id)).map(({ status }) => status),
        ['SUCCESS'],
      )
    })
  }

  test('the worker is told to stop while the query runs: another one goes on with it', async () => {
    const id = await accept('slow')
    await eventually('the query runs', async () => (await paid(id)).length === 1)
    const next = await stack.start('worker')
    await worker.stop()
    worker = next
    const run = await stack.ended(id)
    assert.equal(run.state, 'succeeded', JSON.stringify(run))
    assert.deepEqual(
      (await paid(id)).map(({ status }) => status),
      ['SUCCESS'],
    )
  })

  test('the run is cancelled while the query runs: so is the query', async () => {
    const id = await accept('endless')
    await eventually('the query runs', async () => (await paid(id)).length === 1)
    await stack.call('POST', `/v1/runs/${id}/cancel`)
    assert.equal((await stack.ended(id)).state, 'cancelled')
    await eventually('the query has ended', async () => (await snowflake.report()).running === 0)
    assert.deepEqual(
      (await paid(id)).map(({ status }) => status),
      ['ABORTED'],
    )
  })

  test('the result is gone when another worker asks for it: it says so and the query is run again', async () => {
    await worker.arm('after-query=kill@2')
    const id = await accept('contacts')
    await worker.ended
    await eventually('the query has ended', async () => (await snowflake.report()).running === 0)
    await snowflake.expireResults()
    worker = await stack.start('worker')
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['read']], ['succeeded', 1999], JSON.stringify(run))
    assert.equal((await paid(id)).length, 2)
  })

  test('a chunk lacks a row: the attempt fails, nothing counts as removed', async () => {
    await snowflake.fault({ on: 'chunk', does: 'short' })
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.counts['read'], run.counts['removed']], ['succeeded', 1999, 0], JSON.stringify(run))
    assert.equal((await paid(run.id)).length, 2)
  })

  test('compared inside: one changed row is all that leaves Snowflake, and a worker that dies there changes nothing', async () => {
    await snowflake.set('create schema tailrace; create table compared as select * from contacts')
    const { body } = await stack.call('POST', '/v1/sources/inside/check')
    assert.match(String(body['detail']), /compares in schema "TAILRACE"$/)
    const [{ n: rows } = { n: 0 }] = (await snowflake.ask('select count(*) from compared')).map(([n]) => ({ n: Number(n) }))
    assert.equal((await stack.run('compared', {})).counts['delivered'], rows)
    await snowflake.set(`update compared set name = 'inside' where id = 7; delete from compared where id = 9`)
    await worker.arm('after-copy-advance=kill')
    const id = String((await stack.call('POST', '/v1/syncs/compared/runs', {})).body['id'])
    await worker.ended
    worker = await stack.start('worker')
    const { state, counts } = await stack.ended(id)
    assert.deepEqual([state, counts['unchanged'], counts['changed'], counts['removed']], ['succeeded', rows - 2, 1, 1])
    const { rows: kept } = await stack.state.query<{ size: number }>(`select size from warehouse_hash where sync = 'compared'`)
    assert.deepEqual(kept, [{ size: 1 }], 'hashes come with rows that leave')
    const steps = (await paid(id)).map(({ tag }) => (JSON.parse(tag) as { step: string }).step)
    assert.equal(steps.filter((step) => step === 'plan').length, 1, 'the model was queried once')
  })

  test('what is left: no session but those of killed workers, no report about us, no secret in what was printed', async () => {
    const { telemetry, environments } = await snowflake.report()
    assert.equal(telemetry, 0)
    assert.ok(environments.every((environment) => JSON.stringify(environment).includes('"disabled"')))
    for (const secret of snowflake.secrets) assert.ok(!worker.output().includes(secret))
    assert.equal(await worker.stop(), 0)
  })
})
