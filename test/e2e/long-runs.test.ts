import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal, type EmbeddedTemporal } from '../../server/embedded/temporal.ts'
import { accept, clearFaults, exactlyOnce, fault, held, holding, release, report, some, startAnew, wanted } from '../harness/contacts.ts'
import { TEN_EVENTS_ARE_LONG } from '../harness/servers.ts'
import { startStack, type Run, type Stack } from '../harness/stack.ts'
import { cancelHeard, terminate, wentOnAs } from '../harness/workflows.ts'

/** Runs whose history grows long go on as new. The server of this file finds ten events long, so every wait is the moment. */
let temporal: EmbeddedTemporal
let stack: Stack

before(async () => {
  const binary = await findTemporalBinary({
    configured: process.env['TAILRACE_TEMPORAL_BINARY'] ?? null,
    env: process.env,
    tell: () => {},
  })
  temporal = await startTemporal({ binary, dataDir: null, extraArgs: TEN_EVENTS_ARE_LONG, log: () => {} })
  stack = await startStack({}, { temporal: temporal.address })
  await stack.start('api')
  await stack.start('worker')
})
after(async () => {
  await stack.stop()
  await temporal.stop()
})

/** Above three seconds, so that the wait is the workflow's. */
const throttled = { on: 'webhook', do: 'status', status: 429, headers: { 'retry-after': '4' } }

/** How many executions a run took. */
async function executions(run: Run): Promise<number> {
  let count = 0
  for (let id: string | null = run.temporal.runId; id !== null; id = await wentOnAs(stack, id)) count++
  return count
}

test('a run that goes on as new after its approval asks nobody again, sends what is left and keeps its id', async () => {
  await startAnew(stack, 'webhook', some(40), { guards: { maxChanged: 10 } })
  await fault(stack, { ...throttled, nth: 3, times: 1 })
  const parked = await stack.run('contacts', {}, ['awaiting_approval'])
  await stack.call('POST', `/v1/runs/${parked.id}/approve`)
  const run = await stack.ended(parked.id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 40], JSON.stringify(run))
  assert.equal(run.temporal.runId, parked.temporal.runId)
  assert.ok((await executions(run)) > 1, 'it went on as new')
  await exactlyOnce(stack, 'webhook', 40)
})

test('a run that is paused when it goes on as new stays paused, until it is resumed', async () => {
  await startAnew(stack, 'webhook', some(40), {}, { concurrency: 1, timeoutSeconds: 30 })
  await fault(stack, { on: 'webhook', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  await stack.call('POST', `/v1/runs/${id}/pause`)
  await cancelHeard(stack)
  await release(stack)
  const paused = await stack.ended(id, ['paused'])
  assert.equal(paused.state, 'paused', JSON.stringify(paused))
  assert.equal(await executions(paused), 2)
  assert.equal((await stack.call('POST', `/v1/runs/${id}/resume`)).status, 202)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 40], JSON.stringify(run))
  await exactlyOnce(stack, 'webhook', 40)
})

test('a run that goes on as new while it sends an older batch again does so before it plans (the batch was left out)', async () => {
  await startAnew(stack, 'webhook', some(10), {}, { timeoutSeconds: 30 })
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set name = 'B'`)
  await fault(stack, { on: 'webhook', do: 'hold', commit: 'before' })
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await clearFaults(stack)
  await stack.warehouse.query(`update contacts set name = 'one'`)
  await fault(stack, throttled)
  const run = await stack.run('contacts')
  await release(stack)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 10], JSON.stringify(run))
  assert.ok((await executions(run)) > 1, 'it went on as new')
  assert.deepEqual(await held(stack, 'webhook'), await wanted(stack))
  const { findings } = await report(stack, 'webhook')
  assert.deepEqual([findings['requestsRepeated'], findings['mismatches']], [1, []])
})
