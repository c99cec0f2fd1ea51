import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { Connections } from '../activities/connections.ts'
import { createActivities } from '../activities/index.ts'
import { Journal } from '../activities/journal.ts'
import { DRIVER_ENVIRONMENT } from '../connectors/snowflake/driver.ts'
import { openDatabase } from '../state/database.ts'
import { armFromSettings } from './failpoints.ts'
import { CliError, EXIT } from './cli/exit.ts'
import { createLogger, type Logger } from './logger.ts'
import { processMetrics, startObserve } from './observe.ts'
import { readiness, temporalAnswers } from './readiness.ts'
import { startReconcile } from './reconcile.ts'
import type { ServiceSettings, TemporalSettings } from './settings.ts'
import { TemporalConnection } from './temporal-connection.ts'
import { followCredentials } from './temporal-credentials.ts'
import { registerWorkerMetrics } from './worker-metrics.ts'

/** Requests in flight get this long to end after SIGTERM; then the process ends and what was not settled is in doubt. */
const SHUTDOWN_GRACE = '1s'
const SHUTDOWN_FORCE = '25s'
/** Connections get this long to close after that: together less than the 30 s that Kubernetes waits. */
const CLOSE_MS = 3_000

/** Workflows stay in memory until this many; each is small, the SDK's default follows the heap and starves a small pod. */
const MAX_CACHED_WORKFLOWS = 200

/** Polls the task queue until SIGTERM; then lets requests in flight end and be settled. Rejects when it had to be forced. */
export async function runWorker(settings: ServiceSettings): Promise<void> {
  // Left to itself V8 collects late where there is memory. First load without latency: peak 302 MB; 255 at 50 %; 252 at 20 %, where
  // collecting took 0.8 s of 2.4 s of CPU. Not a limit.
  setFlagsFromString('--heap-growing-percent=50')
  const log = createLogger({ level: settings.logLevel, name: 'worker' })
  Object.assign(process.env, DRIVER_ENVIRONMENT)
  installRuntime(settings, log)
  armFromSettings(settings.failpoints, log)
  const db = openDatabase(settings.databaseUrl, { max: 30, applicationName: 'tailrace worker' })
  const connections = new Connections({ env: process.env, secretsDir: settings.secretsDir })
  let native = await connectNative(settings.temporal.connection)
  const tracing = settings.otlpEndpoint === null ? null : (await import('./tracing.ts')).startTracing('worker')
  const connection = new TemporalConnection(settings.temporal.connection)
  const { namespace } = settings.temporal
  const client = new Client({
    connection,
    namespace,
    interceptors: tracing?.clientInterceptors ?? {},
  })
  const metrics = processMetrics()
  registerWorkerMetrics(metrics, { db, connections })
  const deps = { db, connections, client, taskQueue: settings.taskQueue, journal: new Journal(log, metrics) }
  const worker = await Worker.create({
    connection: native,
    namespace,
    taskQueue: settings.taskQueue,
    workflowBundle: { codePath: bundlePath(tracing === null ? 'workflow-bundle.js' : 'workflow-bundle-traced.js') },
    activities: createActivities(deps),
    // A dead worker's workflow tasks wait on its own queue for so long before others get them (default 10 s).
    stickyQueueScheduleToStartTimeout: '2s',
    maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
    maxConcurrentActivityTaskExecutions: 40,
    // A pause or a cancel reaches an activity with the answer to a heartbeat; the SDK would hold those back for 8 of the 10 s they may take.
    maxHeartbeatThrottleInterval: '2s',
    shutdownGraceTime: SHUTDOWN_GRACE,
    shutdownForceTime: SHUTDOWN_FORCE,
    ...versioning(),
    ...tracing?.worker,
  })
  const observe = await startObserve({
    host: settings.metricsHost,
    port: settings.metricsPort,
    ready: () => readiness(db, async () => worker.getState() === 'RUNNING' && temporalAnswers(connection, namespace)),
    metrics,
  })
  const reconnect = async (options: TemporalSettings['connection']): Promise<void> => {
    const before = native
    native = await connectNative(options)
    worker.connection = native
    await before.close()
    await connection.replace(options)
  }
  const credentials = followCredentials(settings.temporal, reconnect, log)
  const reconcile = startReconcile({ ...deps, log, retentionDays: settings.retentionDays, databaseUrl: settings.databaseUrl })
  let forced = true
  try {
    const running = worker.run()
    process.send?.({ ready: true })
    await running
    forced = false
  } finally {
    // A request that hangs would keep the process for its whole timeout, and an outage for longer.
    setTimeout(() => process.exit(forced ? EXIT.failed : EXIT.done), CLOSE_MS).unref()
    await credentials.stop()
    await reconcile.stop()
    await observe.close()
    await connections.close()
    await native.close()
    await connection.close()
    await db.end()
    await tracing?.close()
  }
}

async function connectNative(options: TemporalSettings['connection']): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(options)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const what = `Temporal (TEMPORAL_ADDRESS) does not take the worker: ${why}`
    throw new CliError(EXIT.failed, `${what}\nIf it is up, look at TEMPORAL_API_KEY and TEMPORAL_TLS_*.`, { cause })
  }
}

/** Set by the Temporal Worker Controller, or by hand: runs in flight stay on the build that began them. */
function versioning(): Pick<WorkerOptions, 'workerDeploymentOptions'> | Record<string, never> {
  const deploymentName = process.env['TEMPORAL_DEPLOYMENT_NAME']
  const buildId = process.env['TEMPORAL_WORKER_BUILD_ID']
  if (!deploymentName || !buildId) return {}
  return {
    workerDeploymentOptions: { version: { deploymentName, buildId }, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' },
  }
}

function installRuntime(settings: ServiceSettings, log: Logger): void {
  const logger = new DefaultLogger('WARN', ({ level, message, meta }) =>
    log[level === 'ERROR' ? 'error' : 'warn']({ workflowId: meta?.['workflowId'], activityType: meta?.['activityType'] }, message),
  )
  const metrics =
    settings.temporalMetricsPort === null
      ? {}
      : { metrics: { prometheus: { bindAddress: `${settings.metricsHost}:${settings.temporalMetricsPort}` } } }
  Runtime.install({ logger, telemetryOptions: { ...metrics, logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } } })
}

/** Built by `npm run build`; a worker never carries the bundler. */
function bundlePath(file: string): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? `../dist/${file}` : `../${file}`, import.meta.url))
}
