import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import { accept, createContacts, documents, fault, held, holding, release, report, some, wanted } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { startReceiver } from '../harness/receiver.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'
import { reset, terminate } from '../harness/workflows.ts'

/** Day-to-day operation: schedules, the CLI, retries of refused records, a pod being moved, restarts. */
let stack: Stack
let worker: Role

before(async () => {
  stack = await startStack()
  await stack.start('api')
  worker = await stack.start('worker')
})
after(() => stack.stop())
beforeEach(async () => {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  // A run that a schedule began at the last moment may still be active: 409 until it has ended.
  for (const sync of ['follower', 'hooked', 'contacts'])
    await eventually(`the end of ${sync}`, async () => (await stack.call('DELETE', `/v1/syncs/${sync}`)).status !== 409)
  await createContacts(stack, some(30))
  await stack.apply(documents(stack, 'hubspot'))
})

function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/server/main.js', ...args], { env: stack.env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

async function runsOf(sync: string): Promise<{ id: string; state: string; trigger: string }[]> {
  const { status, body } = await stack.call('GET', `/v1/runs?sync=${sync}`)
  assert.equal(status, 200, JSON.stringify(body))
  return body['data'] as { id: string; state: string; trigger: string }[]
}

test('the CLI runs a sync, shows it and ends with the codes of its manual', async () => {
  const preview = await cli('preview', 'contacts', '--limit', '3', '--json')
  assert.equal(preview.code, 0, preview.stderr)
  assert.match(preview.stdout, /person1@example\.com/)
  assert.equal((await report(stack, 'hubspot')).totals.records, 0)

  const done = await cli('run', 'contacts', '--wait')
  assert.equal(done.code, 0, done.stderr)
  await stack.warehouse.query(`update contacts set email = 'broken' where id = 3`)
  const partial = await cli('run', 'contacts', '--wait', '--json')
  assert.equal(partial.code, 2, partial.stderr)
  assert.match((await cli('rejections', 'contacts')).stdout, /INVALID_EMAIL|email/)
  assert.match((await cli('record', 'contacts', '5')).stdout, /delivered/)
  assert.match((await cli('runs', 'contacts')).stdout, /partial/)

  await stack.apply(documents(stack, 'hubspot', { guards: {} }))
  await stack.warehouse.query('delete from contacts where id > 10')
  const parked = await cli('run', 'contacts', '--wait')
  assert.equal(parked.code, 3, parked.stderr)
  const [waiting] = await runsOf('contacts')
  assert.equal((await cli('run', 'contacts')).code, 1)
  assert.equal((await cli('reject', waiting?.id ?? '')).code, 0)
  assert.equal((await stack.ended(waiting?.id ?? '')).error?.code, 'rejected')
  assert.equal((await cli('run', 'contacts', '--no-such-option')).code, 64)

  const doctor = await cli('doctor')
  assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr)
})

/** Keys that the webhook receiver refuses, record by record. */
async function refuse(keys: readonly string[]): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ webhook: { reject: keys } }) })
}

test('a refused record costs one attempt per version; a person may have it tried again', async () => {
  await stack.apply(documents(stack, 'webhook'))
  await refuse(['3', '7'])
  const first = await stack.run('contacts')
  assert.deepEqual(
    [first.state, first.counts['delivered'], first.counts['rejected'], first.counts['owed']],
    ['partial', 28, 2, 2],
    JSON.stringify(first),
  )
  const requests = async () => (await report(stack, 'webhook')).requests.reduce((sum, { count }) => sum + count, 0)
  const before = await requests()
  const second = await stack.run('contacts')
  assert.deepEqual([second.state, second.counts['added'], second.counts['owed']], ['partial', 0, 2])
  assert.equal(await requests(), before)
  await refuse([])
  assert.equal((await stack.call('POST', '/v1/syncs/contacts/rejections/retry', {})).status, 200)
  const third = await stack.run('contacts')
  assert.deepEqual([third.state, third.counts['retried'], third.counts['delivered']], ['succeeded', 2, 2], JSON.stringify(third))
  assert.deepEqual(await held(stack, 'webhook'), await wanted(stack))
})

test('half of all outcomes are refusals: the run stops before it has tried the rest', async () => {
  await stack.warehouse.query(
    `truncate contacts; insert into contacts select i, 'p' || i || '@example.com', 'x' from generate_series(1, 3000) i`,
  )
  await stack.apply(documents(stack, 'webhook'))
  await refuse(Array.from({ length: 3000 }, (_, i) => String(i + 1)))
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.error?.code], ['failed', 'guard'], JSON.stringify(run))
  assert.ok((run.counts['rejected'] ?? 0) < 3000)
})

// The guard was asked after refusals only: sixty of them, then forty deliveries, went through as `partial`.
test('the guard judges from the hundredth outcome on, even if the refusals were the first of them', async () => {
  await stack.warehouse.query(
    `truncate contacts; insert into contacts select i, 'p' || i || '@example.com', 'x' from generate_series(1, 100) i`,
  )
  await stack.apply(documents(stack, 'webhook', {}, { concurrency: 1 }))
  await refuse(Array.from({ length: 60 }, (_, i) => String(i + 1)))
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.error?.code], ['failed', 'guard'], JSON.stringify(run))
  assert.match(run.error?.message ?? '', /60 of 100/)
})

// Mirror's refused removal stayed on the list when the sync became an upsert: it was `partial` for ever, over a record nobody wanted gone.
test('a refused removal is owed no more once the sync removes nothing', async () => {
  await stack.apply(documents(stack, 'webhook'))
  await stack.run('contacts')
  await stack.warehouse.query('delete from contacts where id = 3')
  await refuse(['3'])
  const mirror = await stack.run('contacts')
  assert.deepEqual([mirror.state, mirror.counts['rejected'], mirror.counts['owed']], ['partial', 1, 1], JSON.stringify(mirror))
  await stack.apply(documents(stack, 'webhook', { mode: 'upsert' }))
  const upsert = await stack.run('contacts')
  assert.deepEqual([upsert.state, upsert.counts['owed']], ['succeeded', 0], JSON.stringify(upsert))
})

// Eight requests that failed at once counted as eight failures in a row: two minutes of silence at the first hiccup.
test('requests that fail together are one failure: the run goes on after a second', async () => {
  await stack.apply(documents(stack, 'webhook', {}, { batchSize: 3, timeoutSeconds: 30 }))
  await fault(stack, { on: 'webhook', do: 'status', status: 503, delayMs: 1_000, times: 8 })
  const run = await stack.waiting(await accept(stack))
  assert.deepEqual([run.state, run.waiting, run.counts['delivered']], ['succeeded', null, 30], JSON.stringify(run))
})

// Three failed look-ups within three seconds ended the run, before it had anything to deliver.
test('a destination that does not answer at the start of a run is asked again', async () => {
  await fault(stack, { on: 'hubspot', method: 'GET', path: '/crm/v3/properties', do: 'status', status: 503, times: 3 })
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
})

// The batch that the first receiver had in doubt was sent to the second one, and then all of the model anew.
test('what one receiver has in doubt is not sent to another that the sync is given', async () => {
  const [first, second] = [await startReceiver(() => 0), await startReceiver()]
  try {
    const hook = (url: string) => documents(stack, 'webhook', {}, { url, batchSize: 100, timeoutSeconds: 30 })
    await stack.apply(hook(first.url))
    await accept(stack)
    await first.until((received) => received.length === 1, 'the first request')
    await terminate(stack)
    await stack.apply(
      hook(second.url).map((document) => {
        if (!('kind' in document)) return document
        if (document.kind === 'Destination') return { ...document, name: 'other' }
        return document.kind === 'Sync' ? { ...document, destination: 'other' } : document
      }),
    )
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.counts['added'], run.counts['delivered']], ['succeeded', 30, 30], JSON.stringify(run))
    const runs = second.received.map(({ body }) => (JSON.parse(body) as { data: { run: string } }).data.run)
    assert.deepEqual(runs, [run.id])
  } finally {
    await Promise.all([first.close(), second.close()])
  }
})

test('a batch that is refused as a whole is split until the bad record stands alone; its neighbours are delivered', async () => {
  await stack.apply(documents(stack, 'webhook'))
  await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ webhook: { refuse: ['13'] } }) })
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['delivered'], run.counts['rejected']], ['partial', 29, 1], JSON.stringify(run))
})

test('SIGTERM in mid-delivery of an unsorted model: what is under way is settled, another worker goes on, nothing is doubled', async () => {
  await stack.warehouse.query('create table shuffled as select * from contacts order by md5(id::text)')
  await stack.warehouse.query('drop table contacts; alter table shuffled rename to contacts')
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'slow', delayMs: 700 })
  const id = await accept(stack)
  await eventually('a request', async () => (await report(stack, 'hubspot')).requests.some(({ path }) => path.includes('upsert')))
  const next = await stack.start('worker')
  assert.equal(await worker.stop(), 0, worker.output())
  worker = next
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
  const { totals } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated], [30, 0])
})

test('a run accepted while no worker was there begins when one comes', async () => {
  await worker.stop()
  const id = await accept(stack)
  worker = await stack.start('worker')
  assert.equal((await stack.ended(id)).state, 'succeeded')
})

test('Reset to the beginning while delivering: the same plan goes on, nothing is doubled', async () => {
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  const id = await accept(stack)
  await holding(stack, 1)
  await reset(stack, 'start')
  await release(stack)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
  const { totals } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated], [30, 0])
})

test('a schedule starts runs, `after` follows, and both go when the configuration does', async () => {
  const sync = documents(stack, 'hubspot').at(-1) ?? {}
  await stack.apply([
    ...documents(stack, 'hubspot', { schedule: { every: '2s' } }),
    { ...sync, name: 'follower', mode: 'upsert', schedule: { after: 'contacts' } },
  ])
  const succeeded = (sync: string, by: string) => async () =>
    (await runsOf(sync)).some(({ state, trigger }) => state === 'succeeded' && trigger === by)
  await eventually('a scheduled run', succeeded('contacts', 'schedule'))
  await eventually('the run after it', succeeded('follower', 'after'))
  await stack.apply(documents(stack, 'hubspot'))
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    const client = new Client({ connection, namespace: stack.namespace })
    await eventually('the end of the schedule', async () => {
      for await (const schedule of client.schedule.list()) if (schedule.scheduleId === 'schedule/contacts') return null
      return true
    })
  } finally {
    await connection.close()
  }
})

// Only schedules by time were paused: a sync that follows another one went on and on to a receiver that is closed for good.
test('a sync whose receiver is gone follows no other until a run of it gets through', async () => {
  const follower = documents(stack, 'webhook', { name: 'hooked', destination: 'hook', schedule: { after: 'contacts' } })
    .map((document) => ('kind' in document && document.kind === 'Destination' ? { ...document, name: 'hook' } : document))
    .filter((document) => 'kind' in document && (document.kind === 'Destination' || document.kind === 'Sync'))
  await stack.apply([...documents(stack, 'hubspot'), ...follower])
  await fault(stack, { on: 'webhook', do: 'status', status: 410 })
  const followers = async (): Promise<string[]> => (await runsOf('hooked')).map(({ id }) => id)
  await stack.run('contacts')
  const [only = ''] = await followers()
  assert.equal((await stack.ended(only)).error?.code, 'gone')
  await stack.run('contacts')
  assert.deepEqual(await followers(), [only])
  assert.equal((await stack.run('hooked')).state, 'succeeded')
  await stack.run('contacts')
  assert.equal((await followers()).length, 3)
})

test('a webhook that answers 410 ends the run, and its schedule is paused', async () => {
  await stack.apply(documents(stack, 'webhook', { schedule: { every: '1h' } }))
  await fault(stack, { on: 'webhook', do: 'status', status: 410 })
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.error?.code], ['failed', 'gone'], JSON.stringify(run))
})
