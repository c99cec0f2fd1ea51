import { fileURLToPath } from 'node:url'
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import { Connections } from '../../activities/connections.ts'
import { createActivities } from '../../activities/index.ts'
import { startRun } from '../../activities/launch/start-run.ts'
import { startSandbox } from '../../connectors/sandbox/start.ts'
import { registerSearchAttributes } from '../../server/search-attributes.ts'
import { migrate } from '../../state/migrate.ts'
import { acceptRun } from '../../state/run-requests.ts'
import { freshDatabase } from '../harness/database.ts'
import { PASSWORD, SALESFORCE_SECRET, TOKEN, WEBHOOK_SECRET } from './recorded-model.ts'
import { quietJournal } from '../harness/journal.ts'

export type Ground = Awaited<ReturnType<typeof openGround>>

const IDENTITY = 'recorder'

interface SandboxReport {
  readonly systems: { readonly salesforce: { readonly findings: { readonly bulkJobs: Record<string, number> } } }
}

/** The product in this process: activities, compiled workflow bundle, stand-ins, databases of its own. */
export async function openGround(address: string) {
  const [state, warehouse, sandbox] = await Promise.all([freshDatabase(), freshDatabase(), startSandbox()])
  await migrate(state.pool)
  const connection = await Connection.connect({ address })
  await registerSearchAttributes(connection, 'default')
  const client = new Client({ connection, identity: IDENTITY })
  const native = await NativeConnection.connect({ address })
  const warehouseUrl = new URL(warehouse.url)
  warehouseUrl.password ||= PASSWORD
  const env = { WAREHOUSE_URL: warehouseUrl.href, HUBSPOT_TOKEN: TOKEN, WEBHOOK_SECRET, SALESFORCE_SECRET }
  const connections = new Connections({ env, secretsDir: '/nonexistent' })
  const taskQueue = `recording-${Date.now()}`
  const deps = { db: state.pool, connections, client, taskQueue, journal: quietJournal() }
  const worker = await Worker.create({
    connection: native,
    taskQueue,
    identity: IDENTITY,
    workflowBundle: { codePath: fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url)) },
    activities: createActivities(deps),
  })
  const running = worker.run()

  const control = async (method: string, path: string, body?: object): Promise<void> => {
    const response = await fetch(`${sandbox.url}/_sandbox/${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
  }

  return {
    deps,
    client,
    sandbox,
    control,
    sql: (text: string) => warehouse.pool.query(text),
    fault: (fault: object) => control('POST', 'faults', { faults: [fault] }),
    held: (count: number) => control('GET', `held?count=${count}`),
    /** Waits until the stand-in's bulk jobs are in these states. */
    async bulkJobs(states: Record<string, number>): Promise<void> {
      const read = async () => {
        const { systems } = (await (await fetch(`${sandbox.url}/_sandbox/report?writes=none`)).json()) as SandboxReport
        return JSON.stringify(systems.salesforce.findings.bulkJobs)
      }
      await until(read, (now) => now === JSON.stringify(states))
    },
    async letGo() {
      await control('DELETE', 'faults')
      await control('POST', 'release', {})
    },
    async put(kind: string, name: string, spec: object) {
      await state.pool.query(
        'insert into resource (kind, name, spec) values ($1, $2, $3) on conflict (kind, name) do update set spec = excluded.spec',
        [kind, name, JSON.stringify(spec)],
      )
    },
    /** Starts a run; its id and the handle of this very execution. */
    async start(sync: string, options: { dryRun?: boolean; adopt?: boolean } = {}): Promise<{ id: string; handle: WorkflowHandle }> {
      const request = { full: false, verify: false, dryRun: false, adopt: false, ...options }
      const { run } = await acceptRun(state.pool, { sync, trigger: 'api', onConflict: 'reject', ...request })
      // The workflow of the run before may still be closing.
      await until(() => startRun(deps, run), Boolean)
      const temporal = await until(() => this.temporalRun(run.id), Boolean)
      return { id: run.id, handle: client.workflow.getHandle(`sync/${sync}`, temporal ?? undefined) }
    },
    async temporalRun(run: string): Promise<string | null> {
      const { rows } = await state.pool.query<{ id: string | null }>('select temporal_run_id as id from run where id = $1', [run])
      return rows[0]?.id ?? null
    },
    /** Waits until the run is in that state. */
    async reaches(run: string, wanted: string): Promise<void> {
      const read = async () => (await state.pool.query<{ state: string }>('select state from run where id = $1', [run])).rows[0]?.state
      await until(read, (current) => current === wanted)
    },
    async close() {
      worker.shutdown()
      await running
      await connections.close()
      await sandbox.close()
      await native.close()
      await connection.close()
      await Promise.all([state.drop(), warehouse.drop()])
    },
  }
}

async function until<T>(look: () => Promise<T>, good: (found: T) => boolean): Promise<T> {
  const limit = performance.now() + 60_000
  for (;;) {
    const found = await look()
    if (good(found)) return found
    if (performance.now() > limit) throw new Error(`still ${JSON.stringify(found)} after a minute`)
  }
}
