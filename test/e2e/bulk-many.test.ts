import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal } from '../../server/embedded/temporal.ts'
import { documents, jobs, reached, SECRETS, settings, succeeded, uploads } from '../harness/accounts.ts'
import { accept, report } from '../harness/contacts.ts'
import { TEN_EVENTS_ARE_LONG } from '../harness/servers.ts'
import { startStack, type Stack } from '../harness/stack.ts'
import { wentOnAs } from '../harness/workflows.ts'

/** One record more than a job takes. Counted at the destination. */
const COUNT = 150_001

async function begin(stack: Stack): Promise<string> {
  await stack.start('api')
  await stack.start('worker')
  await stack.warehouse.query(`create table accounts as select n as id, 'Account ' || n as name from generate_series(1, ${COUNT}) n`)
  const config = { bulkFrom: 2_000, timeoutSeconds: 30 }
  await stack.apply(documents(stack, { mode: 'upsert', fields: { External_Id__c: 'id', Name: 'name' } }, config))
  return accept(stack, 'accounts')
}

async function allOnce(stack: Stack): Promise<void> {
  const { totals } = await report(stack, 'salesforce')
  assert.deepEqual([totals, await uploads(stack), await jobs(stack)], [{ records: COUNT, effective: COUNT, repeated: 0 }, 2, {}])
}

test('more records than one job takes go by several at once, and each version takes effect once', { timeout: 600_000 }, async () => {
  const stack = await startStack(SECRETS)
  try {
    await settings(stack, { bulkHold: true })
    const id = await begin(stack)
    await reached(stack, { InProgress: 2 })
    await settings(stack, { bulkHold: false })
    succeeded(await stack.ended(id), { added: COUNT, delivered: COUNT })
    await allOnce(stack)
  } finally {
    await stack.stop()
  }
})

test('a run that goes on as new between two jobs begins each of them once (it went on for ever, beginning none)', async () => {
  const configured = process.env['TAILRACE_TEMPORAL_BINARY'] ?? null
  const binary = await findTemporalBinary({ configured, env: process.env, tell: () => {} })
  const temporal = await startTemporal({ binary, dataDir: null, extraArgs: TEN_EVENTS_ARE_LONG, log: () => {} })
  const stack = await startStack(SECRETS, { temporal: temporal.address })
  try {
    const run = await stack.ended(await begin(stack))
    succeeded(run, { added: COUNT, delivered: COUNT })
    assert.notEqual(await wentOnAs(stack, run.temporal.runId, 'accounts'), null)
    await allOnce(stack)
  } finally {
    await stack.stop()
    await temporal.stop()
  }
})
