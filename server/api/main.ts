import { Client } from '@temporalio/client'
import { Journal } from '../../activities/journal.ts'
import { inspect } from '../../activities/launch/inspect.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { CliError, EXIT } from '../cli/exit.ts'
import { armFromSettings } from '../failpoints.ts'
import { createLogger } from '../logger.ts'
import { startObserve, type Readiness } from '../observe.ts'
import type { ServiceSettings } from '../settings.ts'
import { buildApi } from './app.ts'
import { createApiMetrics } from './metrics.ts'
import { connectTemporal, temporalControl } from './temporal-control.ts'
import { TokenStore } from './tokens.ts'

const PROBE_MS = 3_000
/** Requests under way get so long to end after a signal. */
const GRACE_MS = 20_000

/**
 * Serves the API until SIGTERM or SIGINT. Outlives an outage of the state database and of Temporal, at the start too. Throws CliError
 * for a port that is taken and for a tokens file that cannot be used.
 */
export async function runApi(settings: ServiceSettings): Promise<void> {
  const log = createLogger({ level: settings.logLevel, name: 'api' })
  armFromSettings(settings.failpoints, log)
  const tokens = await openTokens(settings)
  const db = openDatabase(settings.databaseUrl, { max: 20, applicationName: 'tailrace api' })
  const connection = connectTemporal(settings.temporal)
  const { namespace } = settings.temporal
  const client = new Client({ connection, namespace })
  const metrics = createApiMetrics(db)
  const launch = { db, client, taskQueue: settings.taskQueue, journal: new Journal(log, metrics.registry) }
  const temporalUp = () =>
    answers(() => connection.withDeadline(Date.now() + PROBE_MS, () => connection.workflowService.describeNamespace({ namespace })))
  const app = await buildApi({
    db,
    log,
    metrics,
    tokens,
    uiUrl: settings.temporalUiUrl,
    namespace,
    control: temporalControl(launch),
    inspect: (request, input) => inspect(launch, request, input),
    temporalUp,
  })
  const told = whenTold()
  try {
    await listen(app, settings)
    const observe = await startObserve({
      host: settings.metricsHost,
      port: settings.metricsPort,
      ready: () => readiness(db, temporalUp),
      metrics: metrics.registry,
    })
    process.send?.({ ready: true })
    log.info({ host: settings.host, port: settings.port, metricsPort: observe.port }, 'the API listens')
    await told
    await observe.close()
  } finally {
    const late = setTimeout(() => app.server.closeAllConnections(), GRACE_MS)
    await app.close()
    clearTimeout(late)
    await connection.close()
    await db.end()
  }
}

/** Null: nothing is configured; the settings allow that on a loopback address only. */
async function openTokens({ apiToken, apiTokensFile, oidc }: ServiceSettings): Promise<TokenStore | null> {
  if (apiToken === null && apiTokensFile === null && oidc === null) return null
  return TokenStore.open({ token: apiToken, file: apiTokensFile })
}

async function listen(app: Awaited<ReturnType<typeof buildApi>>, { host, port }: ServiceSettings): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : null
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw cause
    const why =
      code === 'EADDRINUSE' ? 'is in use: stop what listens there, or choose another' : `cannot be listened on (${code}): choose another`
    throw new CliError(EXIT.failed, `Port ${port} of ${host} ${why} by TAILRACE_PORT (the address by TAILRACE_HOST).`, { cause })
  }
}

async function readiness(db: Database, temporalUp: () => Promise<boolean>): Promise<Readiness> {
  const [database, temporal] = await Promise.all([answers(() => within(PROBE_MS, db.query('select 1'))), temporalUp()])
  if (database && temporal) return { ok: true }
  return { ok: false, failing: [...(database ? [] : ['database']), ...(temporal ? [] : ['temporal'])].join(', ') }
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch {
    return false
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function whenTold(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}
