import { startRun } from '../../activities/launch/start-run.ts'
import { acceptRun } from '../../state/run-requests.ts'
import { TASK_QUEUE, type Ground } from './ground.ts'
import type { BenchOptions } from './options.ts'
import { timelineOf, type Timeline } from './timeline.ts'
import { ACCOUNT_FIELDS, COLUMNS, TABLE } from './warehouse.ts'
import { quietJournal } from '../harness/journal.ts'

/** Longest that a run may take. */
const LIMIT_MS = 30 * 60_000

/** Source, model, destination and one sync that maps all columns. */
export async function configure(ground: Ground, options: BenchOptions, sync: string): Promise<void> {
  const put = (kind: string, name: string, spec: object) =>
    ground.state.query('insert into resource (kind, name, spec) values ($1, $2, $3) on conflict do nothing', [
      kind,
      name,
      JSON.stringify(spec),
    ])
  const { batch, concurrency } = options
  await put('Source', 'warehouse', ground.source)
  await put('Model', TABLE, { source: 'warehouse', table: TABLE, primaryKey: 'id' })
  if (options.case === 'bulk') {
    const org = { loginUrl: ground.sinkUrl, clientId: 'bench', clientSecret: '${env:BENCH_SALESFORCE_SECRET}' }
    await put('Destination', 'sink', { connector: 'salesforce', config: org })
    const mapped = Object.fromEntries(ACCOUNT_FIELDS.map((name, index) => [name, COLUMNS[index]]))
    await put('Sync', sync, {
      model: TABLE,
      destination: 'sink',
      mode: 'upsert',
      object: 'Account',
      match: 'External_Id__c',
      fields: mapped,
    })
    return
  }
  const receiver = { url: ground.sinkUrl, secret: '${env:BENCH_WEBHOOK_SECRET}', allowPrivateNetwork: true }
  await put('Destination', 'sink', { connector: 'webhook', config: { ...receiver, batchSize: batch, concurrency } })
  const fields = Object.fromEntries(COLUMNS.map((name) => [name, name]))
  await put('Sync', sync, { model: TABLE, destination: 'sink', mode: 'mirror', fields })
}

export interface Measured {
  /** From the trigger until the workflow was seen to have ended. */
  readonly seconds: number
  readonly requests: number
  readonly historyEvents: number
  readonly timeline: Timeline
}

/**
 * One run from its trigger to its end. Throws unless it succeeded and exactly `records` reached the sink.
 */
export async function runSync(ground: Ground, sync: string, { records, adopt }: { records: number; adopt?: boolean }): Promise<Measured> {
  const { state, client } = ground
  const before = await ground.received()
  const startedMs = performance.now()
  const request = { sync, trigger: 'api', full: false, verify: false, dryRun: false, adopt: adopt ?? false, onConflict: 'reject' } as const
  const { run } = await acceptRun(state, request)
  await startRun({ db: state, client, taskQueue: TASK_QUEUE, journal: quietJournal() }, run)
  const { rows } = await state.query<{ started: string | null }>('select temporal_run_id as started from run where id = $1', [run.id])
  const handle = client.workflow.getHandle(`sync/${sync}`, rows[0]?.started ?? undefined)
  const ended: unknown = await inTime(handle.result(), `the run of ${sync}`).catch(async (cause: unknown) => {
    const ends = await state.query<{ error: unknown }>('select error from run where id = $1', [run.id])
    throw new Error(`the run of ${sync} failed: ${JSON.stringify(ends.rows[0]?.error)}`, { cause })
  })
  const seconds = (performance.now() - startedMs) / 1000
  if (ended !== 'succeeded') throw new Error(`the run of ${sync} ended ${String(ended)}`)
  const after = await ground.received()
  const got = after.records - before.records
  if (got !== records) throw new Error(`the sink got ${got} records, ${records} were to be sent`)
  const { events } = await handle.fetchHistory()
  return { seconds, requests: after.requests - before.requests, historyEvents: events?.length ?? 0, timeline: timelineOf(events ?? []) }
}

async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${LIMIT_MS / 60_000} minutes`)), LIMIT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
