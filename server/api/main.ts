import { Client } from '@temporalio/client'
import { Journal } from '../../activities/journal.ts'
import { inspect } from '../../activities/launch/inspect.ts'
import { openDatabase } from '../../state/database.ts'
import { CliError, EXIT } from '../cli/exit.ts'
import { armFromSettings } from '../failpoints.ts'
import { createLogger } from '../logger.ts'
import { startObserve } from '../observe.ts'
import { readiness, temporalAnswers } from '../readiness.ts'
import type { ServiceSettings } from '../settings.ts'
import { buildApi } from './app.ts'
import { createApiMetrics } from './metrics.ts'
import { followCredentials } from '../temporal-credentials.ts'
import { connectTemporal, temporalControl } from './temporal-control.ts'
import { OidcTokens } from './oidc.ts'
import { TokenStore } from './tokens.ts'

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
  const tracing = settings.otlpEndpoint === null ? null : (await import('../tracing.ts')).startTracing('api')
  const client = new Client({ connection, namespace, interceptors: tracing?.clientInterceptors ?? {} })
  const credentials = followCredentials(settings.temporal, (options) => connection.replace(options), log)
  const metrics = createApiMetrics(db)
  const launch = { db, client, taskQueue: settings.taskQueue, journal: new Journal(log, metrics.registry) }
  const temporalUp = () => temporalAnswers(connection, namespace)
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
    traceRequests: tracing?.traceRequests ?? null,
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
    await credentials.stop()
    await connection.close()
    await db.end()
    await tracing?.close()
  }
}

/** Null: nothing is configured; the settings allow that on a loopback address only. */
async function openTokens({ apiToken, apiTokensFile, oidc }: ServiceSettings): Promise<TokenStore | null> {
  if (apiToken === null && apiTokensFile === null && oidc === null) return null
  return TokenStore.open({ token: apiToken, file: apiTokensFile, oidc: oidc === null ? null : new OidcTokens(oidc) })
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

function whenTold(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}
