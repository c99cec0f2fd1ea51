import type pg from 'pg'
import pgDriver from 'pg'
import { effect } from '../activities/failpoints.ts'
import { repairSchedules } from '../activities/launch/schedules.ts'
import { endTerminatedRun, startRun, type LaunchDeps } from '../activities/launch/start-run.ts'
import { promoteNext } from '../state/run-requests.ts'
import { startedRuns, unstartedRuns, waitingSyncs } from '../state/run-row.ts'
import { syncSchedules } from '../state/configuration.ts'
import { prune } from '../state/prune.ts'
import type { Logger } from './logger.ts'

const PERIOD_MS = 15_000
const PRUNE_EVERY_MS = 3_600_000
/** Identity of the session lock that makes one worker the holder. */
const LOCK = 7_141_200

export interface ReconcileDeps extends LaunchDeps {
  readonly log: Logger
  readonly databaseUrl: string
  readonly retentionDays: number
}

/**
 * Keeps our books and Temporal in step, in one worker at a time: closes runs that were terminated, starts runs that were
 * accepted but never started, starts queued runs, repairs schedules, prunes. Every 15 s, and at once when a run ends.
 * The only thing that polls.
 */
export function startReconcile(deps: ReconcileDeps): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const done = loop(deps, stopping.signal)
  return {
    async stop() {
      stopping.abort()
      await done
    },
  }
}

async function loop(deps: ReconcileDeps, signal: AbortSignal): Promise<void> {
  let prunedAtMs = 0
  while (!signal.aborted) {
    try {
      await hold(deps, signal, async () => {
        if (performance.now() - prunedAtMs > PRUNE_EVERY_MS) {
          await prune(deps.db, deps.retentionDays)
          prunedAtMs = performance.now() || 1
        }
      })
    } catch (error) {
      deps.log.warn({ err: error }, 'reconciling failed; it is tried again')
    }
    await pause(PERIOD_MS, signal)
  }
}

/** Holds the lock as long as its connection lives, and reconciles meanwhile. */
async function hold(deps: ReconcileDeps, signal: AbortSignal, daily: () => Promise<void>): Promise<void> {
  const client = new pgDriver.Client({ connectionString: deps.databaseUrl, application_name: 'tailrace reconcile', keepAlive: true })
  const lost = new Promise<never>((_, reject) => client.once('error', reject))
  lost.catch(() => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK])
    if (rows[0]?.held !== true) return
    await client.query('listen tailrace_ended')
    await client.query('listen tailrace_config')
    while (!signal.aborted) {
      await Promise.race([reconcile(deps), lost])
      await daily()
      if (await Promise.race([nudged(client, signal), lost])) await startAccepted(deps)
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** True when a run ended meanwhile, false after the period or when stopping. */
function nudged(client: pg.Client, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (ended: boolean) => {
      clearTimeout(timer)
      client.off('notification', heard)
      signal.removeEventListener('abort', quiet)
      resolve(ended)
    }
    const heard = (message: pg.Notification) => end(message.channel === 'tailrace_ended')
    const quiet = () => end(false)
    const timer = setTimeout(quiet, PERIOD_MS)
    client.on('notification', heard)
    signal.addEventListener('abort', quiet)
  })
}

async function reconcile(deps: ReconcileDeps): Promise<void> {
  for (const run of await startedRuns(deps.db)) await endTerminatedRun(deps, run)
  await startAccepted(deps)
  await repairSchedules(deps, await syncSchedules(deps.db))
}

/** Runs that were accepted and never started, and runs whose turn has come. */
async function startAccepted(deps: ReconcileDeps): Promise<void> {
  for (const sync of await waitingSyncs(deps.db)) await effect('promote', () => promoteNext(deps.db, sync))
  for (const run of await unstartedRuns(deps.db)) await startRun(deps, run)
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
