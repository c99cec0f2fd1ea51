import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../server/embedded/postgres.ts'
import { makePassable } from '../../server/embedded/postgres-account.ts'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal } from '../../server/embedded/temporal.ts'
import { runMigrate } from '../../server/migrate.ts'
import { workerSettings } from '../../server/settings.ts'
import { openDatabase } from '../../state/database.ts'
import { CLI, startBenchWorker, type BenchWorker } from './bench-worker.ts'
import { firstMessage, forkScript, stopChild } from './child.ts'
import { snowflakeProcess, type SnowflakeProcess } from '../snowflake/process.ts'
import { ACCOUNT_FIELDS } from './warehouse.ts'
import type { BenchOptions } from './options.ts'
import { COUNTING } from './state-costs.ts'
import { PLANNER } from './warehouse.ts'

export const TASK_QUEUE = 'bench'

export interface Ground {
  readonly folder: string
  readonly state: pg.Pool
  readonly stateUrl: string
  readonly warehouse: pg.Pool
  readonly warehouseUrl: string
  /** As a Source document has it. */
  readonly source: { readonly connector: string; readonly config: Record<string, unknown> }
  /** The stand-in, where rows come from it. */
  readonly snowflake: SnowflakeProcess | null
  readonly client: Client
  readonly sinkUrl: string
  /** What the sink has seen since it was started. */
  received(): Promise<{ requests: number; records: number }>
  startWorker(options?: { readonly profile: string | null }): Promise<BenchWorker>
}

type Stop = () => Promise<unknown>

/**
 * One PostgreSQL with a database for the state and one as the warehouse, Temporal and a sink, all of them processes on this
 * machine. `stops` gets how to end each, the last started first; the caller calls them, also when this throws.
 */
export async function startGround(options: BenchOptions, stops: Stop[], tell: (line: string) => void): Promise<Ground> {
  await stat(CLI).catch((cause: unknown) => {
    throw new Error(`${CLI} is missing: run \`npm run build\` first`, { cause })
  })
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
  stops.unshift(() => rm(folder, { recursive: true, force: true }))
  await makePassable(join(folder, 'postgres'))
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), settings: COUNTING, log: () => undefined })
  stops.unshift(() => postgres.stop())
  const binary = await findTemporalBinary({ configured: process.env['TAILRACE_TEMPORAL_BINARY'] || null, env: process.env, tell })
  const temporal = await startTemporal({ binary, dataDir: null, log: () => undefined })
  stops.unshift(() => temporal.stop())
  const { latencyMs } = options
  const sink =
    options.case === 'bulk'
      ? forkScript(new URL('./bulk-sink.ts', import.meta.url), { latencyMs, fields: ACCOUNT_FIELDS })
      : forkScript(new URL('./sink.ts', import.meta.url), { latencyMs })
  stops.unshift(() => stopChild(sink, 'SIGKILL'))
  const { port } = await firstMessage(sink, 'the sink')
  const sinkUrl = `http://127.0.0.1:${String(port)}`

  const stateUrl = await createDatabase(postgres.url, 'tailrace')
  const warehouseUrl = await createDatabase(postgres.url, 'warehouse')
  const snowflake = options.source === 'snowflake' ? await snowflakeProcess() : null
  if (snowflake !== null) stops.unshift(() => snowflake.close())
  const env = workerEnvironment({ stateUrl, warehouseUrl, temporal: temporal.address })
  if (snowflake !== null) env['BENCH_SNOWFLAKE_TOKEN'] = snowflake.config.token.token
  await runMigrate(workerSettings(env))
  const state = openDatabase(stateUrl, { max: 4 })
  stops.unshift(() => state.end())
  const warehouse = new pg.Pool({ connectionString: warehouseUrl, max: 2 })
  stops.unshift(() => warehouse.end())
  const connection = await Connection.connect({ address: temporal.address })
  stops.unshift(() => connection.close())

  return {
    folder,
    state,
    stateUrl,
    warehouse,
    warehouseUrl,
    snowflake,
    source:
      snowflake === null
        ? {
            connector: options.source === 'redshift' ? 'redshift' : 'postgres',
            config: { url: '${env:BENCH_WAREHOUSE_URL}', ...(options.source === 'planner' ? { plannerSchema: PLANNER } : {}) },
          }
        : { connector: 'snowflake', config: { ...snowflake.config.token, token: '${env:BENCH_SNOWFLAKE_TOKEN}' } },
    sinkUrl,
    client: new Client({ connection }),
    async received() {
      const answer: unknown = await (await fetch(sinkUrl)).json()
      const count = (name: string): number => Number(Object.entries(answer ?? {}).find(([key]) => key === name)?.[1] ?? 0)
      return { requests: count('requests'), records: count('records') }
    },
    async startWorker({ profile } = { profile: null }) {
      const worker = await startBenchWorker(env, profile)
      stops.unshift(() => worker.stop())
      return worker
    },
  }
}

async function createDatabase(server: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    await client.query(`create database ${name}`)
  } finally {
    await client.end()
  }
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

function workerEnvironment({
  stateUrl,
  warehouseUrl,
  temporal,
}: {
  stateUrl: string
  warehouseUrl: string
  temporal: string
}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    DATABASE_URL: stateUrl,
    TEMPORAL_ADDRESS: temporal,
    TAILRACE_TASK_QUEUE: TASK_QUEUE,
    TAILRACE_METRICS_PORT: '0',
    // As in the image: peak memory of a first load 357 -> 268 MB, no slower.
    MALLOC_ARENA_MAX: '2',
    LOG_LEVEL: 'warn',
    BENCH_WAREHOUSE_URL: warehouseUrl,
    BENCH_SALESFORCE_SECRET: 'secret',
    BENCH_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  }
}
