import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as outage } from 'node:timers/promises'
import { accept, clearFaults, exactlyOnce, fault, holding, release, report, some, startAnew } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { Servers } from '../harness/servers.ts'
import { startStack, type Stack } from '../harness/stack.ts'
import { cancelHeard } from '../harness/workflows.ts'

/** The servers that Tailrace rests on are killed in mid-delivery and come back on their data. Counted at the destination. */
const TEN_SECONDS = 10_000

let servers: Servers
let stack: Stack

before(async () => {
  servers = await Servers.start()
  stack = await startStack({}, servers.addresses)
  await stack.start('api')
  await stack.start('worker')
})
after(async () => {
  await stack.stop()
  await servers.stop()
})

for (const destination of ['hubspot', 'webhook'] as const) {
  const write = destination === 'hubspot' ? { on: 'hubspot', path: 'batch/upsert' } : { on: 'webhook' }

  test(`${destination}: the state database is killed in mid-send and away for ten seconds: what was sent is settled when it is back, once`, async () => {
    await startAnew(stack, destination, some(35), {}, { timeoutSeconds: 30 })
    await fault(stack, { ...write, do: 'hold', commit: 'before' })
    const id = await accept(stack)
    await holding(stack, 1)
    const back = await servers.killPostgres()
    await release(stack)
    await outage(TEN_SECONDS)
    await back()
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 35, 0], JSON.stringify(run))
    await exactlyOnce(stack, destination, 35)
    assert.equal((await stack.run('contacts')).counts['unchanged'], 35)
  })

  test(`${destination}: the Temporal server is killed in mid-send and comes back on its data file: the run goes on, once`, async () => {
    await startAnew(stack, destination, some(35), {}, { timeoutSeconds: 30 })
    await fault(stack, { ...write, do: 'hold', commit: 'before' })
    const id = await accept(stack)
    await holding(stack, 1)
    const back = await servers.killTemporal()
    await release(stack)
    await back()
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 35, 0], JSON.stringify(run))
    await exactlyOnce(stack, destination, 35)
    assert.equal((await stack.run('contacts')).counts['unchanged'], 35)
  })
}

test('the state database is killed while a batch is in flight; a pause after that holds (lanes of the failed activity went on behind it)', async () => {
  await startAnew(stack, 'webhook', some(30), {}, { timeoutSeconds: 60, batchSize: 1, concurrency: 1 })
  await fault(stack, { on: 'webhook', do: 'hold', commit: 'before', times: 'always' })
  const id = await accept(stack)
  await holding(stack, 1)
  const back = await servers.killPostgres()
  await release(stack)
  await back()
  await holding(stack, 1)
  await eventually('the API is back', async () => (await stack.call('POST', `/v1/runs/${id}/pause`)).status === 202)
  await cancelHeard(stack)
  await release(stack)
  assert.equal((await stack.ended(id, ['paused'])).state, 'paused')
  assert.equal((await report(stack, 'webhook')).held, 0, 'nobody sends while it is paused')
  await clearFaults(stack)
  await stack.call('POST', `/v1/runs/${id}/resume`)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 30, 0], JSON.stringify(run))
  await exactlyOnce(stack, 'webhook', 30)
})
