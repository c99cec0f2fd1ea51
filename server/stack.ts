import { join, resolve } from 'node:path'
import { CliError, EXIT } from './cli/exit.ts'
import { Crew, type Part } from './crew.ts'
import type { LogLine } from './embedded/child.ts'
import { takeLock } from './embedded/pid-lock.ts'
import { freePort, isFree } from './embedded/port.ts'
import { makePassable } from './embedded/postgres-account.ts'
import { startEmbeddedPostgres } from './embedded/postgres.ts'
import { findTemporalBinary } from './embedded/temporal-binary.ts'
import { startTemporal } from './embedded/temporal.ts'
import type { Environment } from './environment.ts'
import { runMigrate } from './migrate.ts'
import { apiSettings, cliSettings, type Settings } from './settings.ts'

export interface StackOptions {
  /** State of what is embedded; one stack at a time, a second one is refused. */
  readonly dataDir: string
  /** What the parts are configured by. DATABASE_URL and TEMPORAL_ADDRESS in it take the place of the embedded servers. */
  readonly env: Environment
  /** Default: TAILRACE_PORT. 0: any free one. A port that is taken is an error. */
  readonly apiPort?: number | undefined
  /** Default: 7233, or any free one where that is taken. 0: any free one. */
  readonly temporalPort?: number | undefined
  /** Default: 8233, or any free one where that is taken. 0: any free one. */
  readonly uiPort?: number | undefined
  readonly log: (part: Part, line: string) => void
  /** For the user: what takes long. */
  readonly tell: LogLine
  /** Ends the start early. */
  readonly signal?: AbortSignal
}

export interface Stack {
  readonly apiUrl: string
  /** null for a Temporal of the user's own whose UI nobody named. */
  readonly uiUrl: string | null
  readonly databaseUrl: string
  readonly temporalAddress: string
  /** Resolves with what to tell the user when a part ends by itself; the others are still up then. */
  readonly failed: Promise<string>
  /** Worker, api, Temporal, database, in that order, each within bounds. Idempotent; never rejects. */
  stop(): Promise<void>
}

/**
 * State database, Temporal, schema, API and one worker on this machine. Rejects with a sentence that says which part did not
 * start and why; nothing is left running then. What a killed stack left on the same folder is cleared first.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const settings = cliSettings(options.env)
  // What the API would refuse is known before anything is started.
  apiSettings({ ...options.env, DATABASE_URL_FILE: '', DATABASE_URL: 'postgres://embedded', TEMPORAL_ADDRESS: 'embedded' })
  await makePassable(options.dataDir)
  const lock = await takeLock(join(options.dataDir, 'lock'))
  if ('heldBy' in lock) {
    throw new CliError(
      EXIT.failed,
      `${resolve(options.dataDir)} is in use by process ${lock.heldBy}: stop that one, or choose another --data-dir.`,
    )
  }
  const crew = new Crew(options.log)
  const stop = async (): Promise<void> => {
    await crew.stop()
    await lock.release()
  }
  const abort = (): void => void crew.stop()
  options.signal?.addEventListener('abort', abort, { once: true })
  if (options.signal?.aborted === true) abort()
  try {
    return { ...(await assemble(crew, options, settings)), failed: crew.failed, stop }
  } catch (error) {
    await stop()
    throw error
  } finally {
    options.signal?.removeEventListener('abort', abort)
  }
}

async function assemble(crew: Crew, options: StackOptions, settings: Settings): Promise<Omit<Stack, 'failed' | 'stop'>> {
  const apiPort = await choosePort(options.apiPort ?? settings.port, 'the API', '--port or TAILRACE_PORT')
  // Both to the end, even if one fails: a server that comes up late must be stopped as well.
  const [database, temporal] = await Promise.allSettled([bringDatabase(crew, options, settings), bringTemporal(crew, options, settings)])
  if (database.status === 'rejected') throw database.reason
  if (temporal.status === 'rejected') throw temporal.reason
  const env = { ...options.env, ...database.value, ...temporal.value, TAILRACE_PORT: String(apiPort) }
  const service = apiSettings(env)
  crew.refuseIfStopping()
  await runMigrate(service)
  const [apiMetrics, workerMetrics] = await metricsPorts(settings.metricsPort)
  await Promise.all([
    crew.enlist('api', { ...env, TAILRACE_METRICS_PORT: String(apiMetrics) }),
    crew.enlist('worker', { ...env, TAILRACE_METRICS_PORT: String(workerMetrics) }),
  ])
  return {
    apiUrl: `http://127.0.0.1:${apiPort}`,
    uiUrl: service.temporalUiUrl,
    databaseUrl: service.databaseUrl,
    temporalAddress: service.temporal.connection.address,
  }
}

async function bringDatabase(crew: Crew, options: StackOptions, settings: Settings): Promise<Environment> {
  if (settings.databaseUrl !== null) return {}
  const postgres = await startEmbeddedPostgres({ dataDir: join(options.dataDir, 'postgres'), log: (line) => options.log('database', line) })
  await crew.add('database', postgres.child, () => postgres.stop())
  return { DATABASE_URL: postgres.url }
}

async function bringTemporal(crew: Crew, options: StackOptions, settings: Settings): Promise<Environment> {
  if (settings.temporal !== null) return {}
  const binary = await findTemporalBinary({
    configured: settings.temporalBinary,
    env: options.env,
    tell: options.tell,
    signal: options.signal,
  })
  crew.refuseIfStopping()
  const namespace = options.env['TEMPORAL_NAMESPACE'] || 'default'
  const temporal = await startTemporal({
    binary,
    namespace,
    dataDir: join(options.dataDir, 'temporal'),
    port: await choosePort(options.temporalPort ?? (await firstFree(7233)), 'Temporal', '--temporal-port'),
    uiPort: await choosePort(options.uiPort ?? (await firstFree(8233)), "Temporal's web UI", '--ui-port'),
    log: (line) => options.log('temporal', line),
  })
  await crew.add('temporal', temporal.child, () => temporal.stop())
  // Keys and certificates in the environment are meant for another server.
  const others = Object.keys(options.env).filter((name) => name.startsWith('TEMPORAL_'))
  return {
    ...Object.fromEntries(others.map((name) => [name, undefined])),
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: namespace,
    TEMPORAL_UI_URL: settings.temporalUiUrl ?? temporal.uiUrl,
  }
}

async function choosePort(port: number, what: string, how: string): Promise<number> {
  if (port === 0) return freePort()
  if (await isFree(port)) return port
  throw new CliError(EXIT.failed, `Port ${port} for ${what} is in use: stop what listens there, or choose another by ${how}.`)
}

async function firstFree(preferred: number): Promise<number> {
  return (await isFree(preferred)) ? preferred : freePort()
}

/** Api and worker both have a metrics listener; on one machine they need two ports. */
async function metricsPorts(preferred: number): Promise<[number, number]> {
  if (preferred === 0) return [0, 0]
  return [await firstFree(preferred), await firstFree(Math.min(preferred + 1, 65_535))]
}
