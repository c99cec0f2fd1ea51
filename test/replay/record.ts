/**
 * Records the histories that replay.test.ts replays: `npm run build && node --import tsx test/replay/record.ts [CASE…]` with
 * TAILRACE_TEST_PG and TAILRACE_TEST_TEMPORAL set. Record anew only from the released commit, never from the branch under test: the
 * histories stand for runs that are under way while a new build is rolled out. (The first ones are from the build that brought them.)
 */
import { mkdir, writeFile } from 'node:fs/promises'
import type { WorkflowHandle } from '@temporalio/client'
import { DefaultLogger, Runtime } from '@temporalio/worker'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { endTerminatedRun } from '../../activities/launch/start-run.ts'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal } from '../../server/embedded/temporal.ts'
import { TEN_EVENTS_ARE_LONG } from '../harness/servers.ts'
import { BROKEN_EMAIL, CASES, historyFile, LONG, NAME, type Case } from './recorded-model.ts'
import { openGround, type Ground } from './recording-ground.ts'

const BATCH = 'batch/upsert'

async function ended(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined)
  return handle
}

/** A model of its own and a sync of it; `rows` are the first ids. */
async function sync(
  ground: Ground,
  name: string,
  options: { rows?: number; connector?: 'salesforce'; destination?: object; spec?: object; webhook?: boolean } = {},
) {
  const table = name.replaceAll('-', '_')
  const { sandbox } = ground
  await ground.sql(`create table ${table} (id bigint, email text, name text)`)
  await ground.sql(
    `insert into ${table} select i, 'row' || i || '@recorded.example', '${NAME} ' || i from generate_series(1, ${options.rows ?? 30}) i`,
  )
  await ground.put('Source', name, { connector: 'postgres', config: { url: '${env:WAREHOUSE_URL}' } })
  await ground.put('Model', name, { source: name, table, primaryKey: 'id' })
  const hubspot = { baseUrl: `${sandbox.url}/hubspot`, accessToken: '${env:HUBSPOT_TOKEN}', timeoutSeconds: 20, lostRequestSeconds: 0 }
  const webhook = { url: `${sandbox.url}/webhook/${name}`, secret: '${env:WEBHOOK_SECRET}', allowPrivateNetwork: true, batchSize: 1 }
  const connector = options.connector ?? (options.webhook ? 'webhook' : 'hubspot')
  const config = { ...{ hubspot, webhook, salesforce: {} }[connector], ...options.destination }
  await ground.put('Destination', name, { connector, config })
  const target = options.webhook ? {} : { object: 'contacts', match: 'email' }
  const fields = { email: 'email', firstname: 'name' }
  await ground.put('Sync', name, { model: name, destination: name, mode: 'mirror', ...target, fields, ...options.spec })
  return { table, run: async (more = {}) => ended((await ground.start(name, more)).handle) }
}

/** A sync to Salesforce, all of whose runs are large enough for bulk jobs. */
async function loaded(ground: Ground, name: Case, { rows, settings = {} }: { rows: number; settings?: object }) {
  await ground.control('POST', 'settings', { salesforce: settings })
  const config = {
    loginUrl: `${ground.sandbox.url}/salesforce`,
    clientId: 'recorded',
    clientSecret: '${env:SALESFORCE_SECRET}',
    bulkFrom: 10,
  }
  const fields = { External_Id__c: 'email', Name: 'name' }
  const spec = { object: 'Account', match: 'External_Id__c', fields, guards: { maxRemoved: '100%' } }
  return sync(ground, name, { rows, connector: 'salesforce', destination: config, spec })
}

/** One record more than a job takes. */
const TWO_JOBS = 150_001

/** A delivered model of which half is deleted: the next run is held. */
async function held(ground: Ground, name: Case, spec: object = {}) {
  const { table, run } = await sync(ground, name, { spec })
  await run()
  await ground.sql(`delete from ${table} where id > 15`)
  return ground.start(name)
}

/** A run that has to wait between its batches, for longer than an activity does. */
async function throttled(ground: Ground, name: Case) {
  await sync(ground, name, { webhook: true })
  await ground.fault({ on: 'webhook', do: 'status', status: 429, headers: { 'retry-after': '5' } })
  return ground.start(name)
}

const RECORDINGS: Record<Case, (ground: Ground, name: Case) => Promise<WorkflowHandle>> = {
  async plain(ground, name) {
    const { table, run } = await sync(ground, name)
    await ground.sql(
      `insert into ${table} values (null, 'x@recorded.example', 'a'), (31, '${BROKEN_EMAIL}', 'b'), (1, 'y@recorded.example', 'c')`,
    )
    return run()
  },
  async 'no-change'(ground, name) {
    const { run } = await sync(ground, name)
    await run()
    return run()
  },
  async 'several-ranges'(ground, name) {
    return (await sync(ground, name, { rows: 450, webhook: true })).run()
  },
  async 'eight-ranges'(ground, name) {
    return (await sync(ground, name, { rows: 450, webhook: true })).run()
  },
  async 'lost-answer'(ground, name) {
    const { run } = await sync(ground, name, { destination: { lostRequestSeconds: 4 } })
    await ground.fault({ on: 'hubspot', path: BATCH, do: 'drop_after' })
    return run()
  },
  async 'held-approved'(ground, name) {
    const { id, handle } = await held(ground, name)
    await ground.reaches(id, 'awaiting_approval')
    await handle.executeUpdate('approve')
    return ended(handle)
  },
  async 'held-rejected'(ground, name) {
    const { id, handle } = await held(ground, name)
    await ground.reaches(id, 'awaiting_approval')
    await handle.executeUpdate('reject')
    return ended(handle)
  },
  async 'held-expired'(ground, name) {
    const { handle } = await held(ground, name, { guards: { holdFor: '1s' } })
    return ended(handle)
  },
  async 'paused-resumed'(ground, name) {
    await sync(ground, name, { rows: 450, webhook: true })
    await ground.fault({ on: 'webhook', do: 'hold', times: 'always' })
    const { id, handle } = await ground.start(name)
    await ground.held(1)
    await handle.signal('pause')
    await ground.letGo()
    await ground.reaches(id, 'paused')
    await handle.signal('resume')
    return ended(handle)
  },
  async cancelled(ground, name) {
    await sync(ground, name)
    await ground.fault({ on: 'hubspot', path: BATCH, do: 'hold' })
    const { handle } = await ground.start(name)
    await ground.held(1)
    await handle.cancel()
    await ground.letGo()
    return ended(handle)
  },
  async 'failed-auth'(ground, name) {
    const { run } = await sync(ground, name)
    await ground.fault({ on: 'hubspot', path: BATCH, do: 'status', status: 401, times: 'always' })
    const handle = await run()
    await ground.letGo()
    return handle
  },
  async 'continued-as-new'(ground, name) {
    const { handle } = await throttled(ground, name)
    await ended(ground.client.workflow.getHandle(`sync/${name}`))
    return handle
  },
  async 'went-on-as-new'(ground, name) {
    await throttled(ground, name)
    // The chain's last execution.
    return ended(ground.client.workflow.getHandle(`sync/${name}`))
  },
  async inherited(ground, name) {
    const { run } = await sync(ground, name, { webhook: true })
    await ground.fault({ on: 'webhook', do: 'hold', times: 'always' })
    const { id, handle } = await ground.start(name)
    await ground.held(1)
    await handle.terminate()
    await endTerminatedRun(ground.deps, { id, sync: name, temporalRunId: (await ground.temporalRun(id)) ?? '' })
    await ground.letGo()
    return run()
  },
  async 'dry-run'(ground, name) {
    return (await sync(ground, name)).run({ dryRun: true })
  },
  async adopt(ground, name) {
    return (await sync(ground, name)).run({ adopt: true })
  },
  async inspection(ground, name) {
    await sync(ground, name)
    const workflow = { workflowId: `inspect/${Date.now()}`, taskQueue: ground.deps.taskQueue }
    const input = { id: '00000000-0000-4000-8000-000000000000', request: { kind: 'preview', sync: name, limit: 10 } }
    await ground.deps.db.query('insert into inspection (id) values ($1)', [input.id])
    return ended(await ground.client.workflow.start('inspection', { ...workflow, args: [input] }))
  },
  async launch(ground, name) {
    await sync(ground, name)
    const handle = await ended(
      await ground.client.workflow.start('launch', {
        workflowId: `launch/${name}/${Date.now()}`,
        taskQueue: ground.deps.taskQueue,
        args: [name],
      }),
    )
    await ended(ground.client.workflow.getHandle(`sync/${name}`))
    return handle
  },
  /** Records are written by a job whose first upload is lost, others removed by a second job, one goes by itself. */
  async bulk(ground, name) {
    const { table, run } = await loaded(ground, name, { rows: 30 })
    await run()
    await ground.sql(`delete from ${table} where id > 15; update ${table} set name = name || chr(13) where id = 1`)
    await ground.sql(`update ${table} set name = name || ' again' where id > 1`)
    await ground.fault({ on: 'salesforce', method: 'PUT', path: 'jobs/ingest', do: 'drop_after' })
    return run()
  },
  async 'bulk-cancelled'(ground, name) {
    await loaded(ground, name, { rows: 30, settings: { bulkHold: true } })
    const { handle } = await ground.start(name)
    await ground.bulkJobs({ InProgress: 1 })
    await handle.cancel()
    return ended(handle)
  },
  async 'bulk-continued-as-new'(ground, name) {
    await loaded(ground, name, { rows: TWO_JOBS })
    const { handle } = await ground.start(name)
    await ended(ground.client.workflow.getHandle(`sync/${name}`))
    return handle
  },
  async 'bulk-went-on-as-new'(ground, name) {
    await loaded(ground, name, { rows: TWO_JOBS })
    await ground.start(name)
    return ended(ground.client.workflow.getHandle(`sync/${name}`))
  },
}

const address = process.env['TAILRACE_TEST_TEMPORAL']
if (!address) throw new Error('TAILRACE_TEST_TEMPORAL is not set: host:port of a Temporal server to record on')
const wanted = process.argv.slice(2)
const cases = CASES.filter((name) => wanted.length === 0 || wanted.includes(name))
await mkdir(new URL('histories', import.meta.url), { recursive: true })
Runtime.install({
  logger: new DefaultLogger('ERROR'),
  telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
})
await recordOn(
  address,
  cases.filter((name) => !LONG.includes(name)),
)
await recordLong(cases.filter((name) => LONG.includes(name)))

async function recordOn(server: string, names: readonly Case[]): Promise<void> {
  if (names.length === 0) return
  const ground = await openGround(server)
  try {
    for (const name of names) {
      const handle = await RECORDINGS[name](ground, name)
      const history = await handle.fetchHistory()
      await writeFile(historyFile(name), `${JSON.stringify(JSON.parse(historyToJSON(history)))}\n`)
      process.stderr.write(`${name}: ${history.events?.length ?? 0} events\n`)
      await ground.control('POST', 'reset')
    }
  } finally {
    await ground.close()
  }
}

async function recordLong(names: readonly Case[]): Promise<void> {
  if (names.length === 0) return
  const configured = process.env['TAILRACE_TEMPORAL_BINARY'] ?? null
  const binary = await findTemporalBinary({ configured, env: process.env, tell: () => {} })
  const temporal = await startTemporal({ binary, dataDir: null, extraArgs: TEN_EVENTS_ARE_LONG, log: () => {} })
  try {
    await recordOn(temporal.address, names)
  } finally {
    await temporal.stop()
  }
}
