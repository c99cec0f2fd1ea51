import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import { accept, createContacts, documents, fault, held, holding, release, report, some, wanted } from '../harness/contacts.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/** A rolling upgrade with runs in flight, as the Temporal Worker Controller does it: runs stay on the build that began them. */
const DEPLOYMENT = 'tailrace-test'
let stack: Stack
let connection: Connection
let client: Client

before(async () => {
  stack = await startStack()
  connection = await Connection.connect({ address: stack.temporal })
  client = new Client({ connection, namespace: stack.namespace })
  await stack.start('api')
  await createContacts(stack, some(30))
})
after(async () => {
  await connection.close()
  await stack.stop()
})

const startBuild = (buildId: string): Promise<Role> =>
  stack.start('worker', { TEMPORAL_DEPLOYMENT_NAME: DEPLOYMENT, TEMPORAL_WORKER_BUILD_ID: buildId })

/** New runs go to this build from now on; the server knows a build once its workers have polled. */
async function makeCurrent(buildId: string): Promise<void> {
  const request = {
    namespace: stack.namespace,
    deploymentName: DEPLOYMENT,
    buildId,
    version: `${DEPLOYMENT}.${buildId}`,
    identity: 'a test',
  }
  for (let tries = 0; ; tries++) {
    try {
      await connection.workflowService.setWorkerDeploymentCurrentVersion(request)
      return
    } catch (error) {
      if (tries > 100) throw error
      await sleep(200)
    }
  }
}

async function buildOf(sync: string): Promise<string | undefined> {
  const { raw } = await client.workflow.getHandle(`sync/${sync}`).describe()
  const versioning = raw.workflowExecutionInfo?.versioningInfo
  return versioning?.deploymentVersion?.buildId ?? versioning?.version?.split('.').at(-1)
}

test('a run in flight ends on the build that began it, new runs begin on the new one, nothing is lost or doubled', async () => {
  const first = await startBuild('one')
  await makeCurrent('one')
  const sync = documents(stack, 'hubspot').at(-1) ?? {}
  await stack.apply([...documents(stack, 'hubspot'), { ...sync, name: 'second', mode: 'upsert' }])
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  const id = await accept(stack)
  await holding(stack, 1)

  const second = await startBuild('two')
  await makeCurrent('two')
  assert.equal((await stack.run('second', { dryRun: true })).state, 'succeeded')
  assert.deepEqual([await buildOf('contacts'), await buildOf('second')], ['one', 'two'])

  // The old build's pod is moved: its request ends and is settled, another pod of the same build goes on.
  const stopped = first.stop()
  await release(stack)
  assert.equal(await stopped, 0, first.output())
  const moved = await startBuild('one')
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
  assert.equal(await buildOf('contacts'), 'one')
  assert.equal(await moved.stop(), 0, moved.output())

  await stack.warehouse.query(`update contacts set name = 'two'`)
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  assert.equal(await buildOf('contacts'), 'two')
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
  const { totals } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated], [60, 0])
  assert.equal(await second.stop(), 0, second.output())
})

/** Closing waited for the request's timeout after the worker had been forced: Kubernetes would have killed it by then. */
test('a destination that hangs does not hold a stopping worker beyond its grace; what it was sending is read back', async () => {
  const worker = await startBuild('two')
  await stack.warehouse.query(`update contacts set name = 'three'`)
  await stack.apply(documents(stack, 'hubspot', {}, { timeoutSeconds: 45 }))
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  const id = await accept(stack)
  await holding(stack, 1)
  assert.equal(await worker.stop(), 1, worker.output())
  await release(stack)
  await startBuild('two')
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
  const { totals } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated], [90, 0])
})
