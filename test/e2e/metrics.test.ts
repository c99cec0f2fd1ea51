import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { freePort } from '../../server/embedded/port.ts'
import { createContacts, documents, fault, some } from '../harness/contacts.ts'
import { scrape } from '../harness/metrics.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** What an operator sees of runs in Prometheus: counters of the worker, and how syncs stand, from the API. */
let stack: Stack
let api: number
let worker: number

before(async () => {
  stack = await startStack({ LOG_LEVEL: 'debug' })
  ;[api, worker] = await Promise.all([freePort(), freePort()])
  await stack.start('api', { TAILRACE_METRICS_PORT: String(api) })
  await stack.start('worker', { TAILRACE_METRICS_PORT: String(worker) })
})
after(() => stack.stop())
beforeEach(async () => {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  await createContacts(stack, some(30))
})

async function reject(keys: readonly string[]): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ webhook: { reject: keys } }) })
}

test('runs, records by outcome, requests, rejections and freshness add up', async () => {
  await stack.apply(documents(stack, 'webhook', { schedule: { every: '2h' } }))
  await reject(['3', '7'])
  await stack.warehouse.query(`insert into contacts values (8, 'twice@example.com', 'twice')`)
  assert.equal((await stack.run('contacts')).state, 'partial')

  const counted = await scrape(worker)
  const sum = (name: string) => [...counted].reduce((all, [sample, value]) => (sample.startsWith(name) ? all + value : all), 0)
  assert.equal(counted.get('tailrace_runs_total{sync="contacts",outcome="partial"}'), 1)
  assert.equal(counted.get('tailrace_records_total{sync="contacts",destination="target",outcome="delivered"}'), 27)
  assert.equal(counted.get('tailrace_records_total{sync="contacts",destination="target",outcome="rejected"}'), 2)
  assert.equal(counted.get('tailrace_records_total{sync="contacts",destination="target",outcome="invalid"}'), 2)
  assert.equal(sum('tailrace_destination_request_duration_seconds_count'), 3, 'three batches of ten')
  assert.equal(sum('tailrace_run_duration_seconds_count'), 1)

  const owing = await scrape(api)
  assert.equal(owing.get('tailrace_state_database_up'), 1)
  assert.equal(owing.get('tailrace_sync_rejections{sync="contacts",class="data"}'), 2)
  assert.equal(owing.get('tailrace_sync_rejections{sync="contacts",class="invalid"}'), 1, 'two rows, one key')
  assert.equal(owing.get('tailrace_sync_doubtful_records{sync="contacts"}'), 0)
  assert.equal(owing.get('tailrace_sync_interval_seconds{sync="contacts"}'), 7200)
  assert.equal(owing.get('tailrace_runs{state="delivering"}'), 0)
  assert.equal(owing.has('tailrace_sync_freshness_seconds{sync="contacts"}'), false, 'no run ended owing nothing yet')

  await reject([])
  await stack.warehouse.query('delete from contacts where id = 8')
  await stack.call('POST', '/v1/syncs/contacts/rejections/retry', {})
  await stack.run('contacts', { dryRun: true })
  assert.equal((await scrape(api)).has('tailrace_sync_freshness_seconds{sync="contacts"}'), false, 'a dry run delivers nothing')
  const { rows: began } = await stack.state.query<{ at: Date }>('select clock_timestamp() as at')
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  const { rows: now } = await stack.state.query<{ at: Date }>('select clock_timestamp() as at')
  const freshness = (await scrape(api)).get('tailrace_sync_freshness_seconds{sync="contacts"}') ?? NaN
  assert.ok(freshness > 0 && freshness < 60 + ((now[0]?.at.getTime() ?? 0) - (began[0]?.at.getTime() ?? 0)) / 1000, String(freshness))
})

test('throttling and what the account allows', async () => {
  await stack.apply(documents(stack, 'hubspot'))
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'status', status: 429, headers: { 'retry-after': '1' }, times: 1 })
  const before = (await scrape(worker)).get('tailrace_destination_throttled_total{destination="target"}') ?? 0
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  const counted = await scrape(worker)
  assert.equal(counted.get('tailrace_destination_throttled_total{destination="target"}'), before + 1)
  assert.equal(counted.get('tailrace_batch_failures_total{destination="target",kind="throttled"}'), 1)
  assert.ok((counted.get('tailrace_destination_budget_requests{destination="target"}') ?? NaN) <= 100)
  assert.ok((counted.get('tailrace_destination_paused_seconds{destination="target"}') ?? NaN) >= 0)
})
