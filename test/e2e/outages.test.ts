import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as outage } from 'node:timers/promises'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../server/embedded/postgres.ts'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal, type EmbeddedTemporal } from '../../server/embedded/temporal.ts'
import { accept, exactlyOnce, fault, holding, release, some, startAnew } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** The servers that Tailrace rests on are killed in mid-delivery and come back on their data. Counted at the destination. */
const TEN_SECONDS = 10_000

let folder = ''
let binary = ''
let postgres: EmbeddedPostgres
let temporal: EmbeddedTemporal
let stack: Stack

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tailrace-outages-'))
  binary = await findTemporalBinary({ configured: process.env['TAILRACE_TEMPORAL_BINARY'] ?? null, env: process.env, tell: () => {} })
  ;[postgres, temporal] = await Promise.all([bringPostgres(), bringTemporal()])
  stack = await startStack({}, { postgres: postgres.url, temporal: temporal.address })
  await stack.start('api')
  await stack.start('worker')
})
after(async () => {
  await stack.stop()
  await Promise.all([postgres.stop(), temporal.stop()])
  await rm(folder, { recursive: true, force: true })
})

function bringPostgres(port?: number): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), ...(port === undefined ? {} : { port }), log: () => {} })
}

function bringTemporal(port?: number): Promise<EmbeddedTemporal> {
  return startTemporal({ binary, dataDir: join(folder, 'temporal'), ...(port === undefined ? {} : { port }), log: () => {} })
}

async function kill(server: EmbeddedPostgres | EmbeddedTemporal): Promise<void> {
  server.child.process.kill('SIGKILL')
  await server.child.ended
}

for (const destination of ['hubspot', 'webhook'] as const) {
  const write = destination === 'hubspot' ? { on: 'hubspot', path: 'batch/upsert' } : { on: 'webhook' }

  test(`${destination}: the state database is killed in mid-send and away for ten seconds: what was sent is settled when it is back, once`, async () => {
    await startAnew(stack, destination, some(35), {}, { timeoutSeconds: 30 })
    await fault(stack, { ...write, do: 'hold', commit: 'before' })
    const id = await accept(stack)
    await holding(stack, 1)
    await kill(postgres)
    await release(stack)
    await outage(TEN_SECONDS)
    postgres = await bringPostgres(Number(new URL(postgres.url).port))
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
    await kill(temporal)
    await release(stack)
    temporal = await bringTemporal(Number(temporal.address.split(':')[1]))
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 35, 0], JSON.stringify(run))
    await exactlyOnce(stack, destination, 35)
    assert.equal((await stack.run('contacts')).counts['unchanged'], 35)
  })
}
