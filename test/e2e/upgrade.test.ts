import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import { freePort } from '../../server/embedded/port.ts'
import { VERSION } from '../../server/version.ts'
import { buildAnother, type Edit } from '../harness/another-build.ts'
import { accept, createContacts, documents, fault, held, holding, release, report, some, wanted } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { scrape } from '../harness/metrics.ts'
import { endOf, startProgram } from '../harness/program.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/**
 * A rolling upgrade with runs in flight, as the chart and the Temporal Worker Controller do it: runs stay on the build that began them.
 * The builds are two: the second has another version and one step more in its workflow, which a run of the first could not go on with.
 */
const DEPLOYMENT = 'tailrace-test'
const STEP = 'a step of the second build'
const EDITS: readonly Edit[] = [
  { file: 'package.json', from: '"version": "', to: '"version": "1' },
  {
    file: 'workflows/sync-run.ts',
    from: '    const prepared = await preparing(',
    to: `    await condition(() => false, 1, { summary: '${STEP}' })\n    const prepared = await preparing(`,
  },
]
let stack: Stack
let connection: Connection
let client: Client
let api: Role
let metricsPort: number
/** Built while the first build works. */
let building: ReturnType<typeof buildAnother>

before(async () => {
  building = buildAnother(EDITS)
  building.catch(() => undefined)
  stack = await startStack()
  connection = await Connection.connect({ address: stack.temporal })
  client = new Client({ connection, namespace: stack.namespace })
  metricsPort = await freePort()
  api = await stack.start('api')
  await createContacts(stack, some(30))
})
after(async () => {
  await connection.close()
  await stack.stop()
  await building.then((second) => second.drop())
})

async function startBuild(buildId: 'one' | 'two'): Promise<Role> {
  const env = { TEMPORAL_DEPLOYMENT_NAME: DEPLOYMENT, TEMPORAL_WORKER_BUILD_ID: buildId }
  if (buildId === 'one') return stack.start('worker', env)
  return stack.start('worker', { ...env, TAILRACE_METRICS_PORT: String(metricsPort) }, (await building).cli)
}

/** New runs go to this build from now on; the server knows a build once its workers have polled. */
async function makeCurrent(buildId: string): Promise<void> {
  const request = {
    namespace: stack.namespace,
    deploymentName: DEPLOYMENT,
    buildId,
    version: `${DEPLOYMENT}.${buildId}`,
    identity: 'a test',
  }
  await eventually(`a poll of build ${buildId}`, () =>
    connection.workflowService.setWorkerDeploymentCurrentVersion(request).catch(() => null),
  )
}

async function buildOf(sync: string): Promise<string | undefined> {
  const { raw } = await client.workflow.getHandle(`sync/${sync}`).describe()
  const versioning = raw.workflowExecutionInfo?.versioningInfo
  return versioning?.deploymentVersion?.buildId ?? versioning?.version?.split('.').at(-1)
}

/** Whether the sync's last run went through the step that only the second build has. */
async function tookTheStep(sync: string): Promise<boolean> {
  const { events } = await client.workflow.getHandle(`sync/${sync}`).fetchHistory()
  const summaries = (events ?? []).map(({ userMetadata }) => Buffer.from(userMetadata?.summary?.data ?? []).toString())
  return summaries.includes(JSON.stringify(STEP))
}

test('runs in flight end on the build that began them, new runs begin on the new one, nothing is lost or doubled', async () => {
  const first = await startBuild('one')
  await makeCurrent('one')
  const sync = documents(stack, 'hubspot').at(-1) ?? {}
  const others = [
    { ...sync, name: 'second', mode: 'upsert' },
    { ...sync, name: 'parked', mode: 'upsert', guards: { maxChanged: '10%' } },
  ]
  await stack.apply([...documents(stack, 'hubspot'), ...others])
  const parked = await stack.run('parked', {}, ['awaiting_approval'])
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  const id = await accept(stack)
  await holding(stack, 1)

  // The chart's order: migrate, then api and workers.
  const { cli } = await building
  const migrate = startProgram([cli, 'migrate'], { env: stack.env })
  assert.equal((await endOf(migrate)).code, 0, migrate.stderr())
  assert.equal(await api.stop(), 0, api.output())
  api = await stack.start('api', {}, cli)
  const second = await startBuild('two')
  assert.equal((await scrape(metricsPort)).get(`tailrace_build_info{version="1${VERSION}"}`), 1)
  await makeCurrent('two')
  assert.equal((await stack.run('second', { dryRun: true })).state, 'succeeded')
  assert.deepEqual([await buildOf('contacts'), await buildOf('second')], ['one', 'two'])
  assert.equal(await tookTheStep('second'), true)

  // The old build's pod is moved: its request ends and is settled, another pod of the same build goes on.
  const stopped = first.stop()
  await release(stack)
  assert.equal(await stopped, 0, first.output())
  const moved = await startBuild('one')
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
  assert.deepEqual([await buildOf('contacts'), await tookTheStep('contacts')], ['one', false])
  // What no worker remembers is replayed by the pod that has come.
  assert.equal((await stack.call('POST', `/v1/runs/${parked.id}/reject`)).status, 202, moved.output())
  assert.equal((await stack.ended(parked.id)).error?.code, 'rejected')
  assert.deepEqual([await buildOf('parked'), await tookTheStep('parked')], ['one', false])
  assert.equal(await moved.stop(), 0, moved.output())

  await stack.warehouse.query(`update contacts set name = 'two'`)
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  assert.deepEqual([await buildOf('contacts'), await tookTheStep('contacts')], ['two', true])
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
