import type pg from 'pg'
import pgDriver from 'pg'
import { effect } from '../activities/failpoints.ts'
import { repairSchedules } from '../activities/launch/schedules.ts'
import { endTerminatedRun, startRun, type LaunchDeps } from '../activities/launch/start-run.ts'
import { promoteNext } from '../state/run-requests.ts'
import { startedRuns, unstartedRuns, waitingSyncs } from '../state/run-row.ts'
import { startNotices } from '../activities/notify/start.ts'
import { syncSchedules } from '../state/configuration.ts'
import { prune } from '../state/prune.ts'
import type { Logger } from './logger.ts'

const PERIOD_MS = 15_000
const PRUNE_EVERY_MS = 3_600_000
const CONFIG_CHANGED = 'tailrace_config'
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
  const pruning = new Pruning(deps, signal)
  while (!signal.aborted) {
    try {
      await hold(deps, signal, pruning)
    } catch (error) {
      deps.log.warn({ err: error }, 'reconciling failed; it is tried again')
    }
    await pause(PERIOD_MS, signal)
  }
  await pruning.done
}

/** Holds the lock as long as its connection lives, and reconciles meanwhile. */
async function hold(deps: ReconcileDeps, signal: AbortSignal, pruning: Pruning): Promise<void> {
  const client = new pgDriver.Client({ connectionString: deps.databaseUrl, application_name: 'tailrace reconcile', keepAlive: true })
  const lost = new Promise<never>((_, reject) => client.once('error', reject))
  lost.catch(() => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK])
    if (rows[0]?.held !== true) return
    const ear = new Ear(client)
    for (const channel of ['tailrace_ended', 'tailrace_notice', CONFIG_CHANGED]) await client.query(`listen ${channel}`)
    let dueMs = 0
    while (!signal.aborted) {
      const due = performance.now() >= dueMs
      if (due) dueMs = performance.now() + PERIOD_MS
      await Promise.race([due ? reconcile(deps) : startWaiting(deps), lost])
      pruning.startIfDue()
      const heard = await Promise.race([ear.next(dueMs - performance.now(), signal), lost])
      if (heard.has(CONFIG_CHANGED)) dueMs = 0
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** What the state database tells, kept until it is asked for: nothing is missed while the loop is busy. */
class Ear {
  #heard = new Set<string>()
  #wake = (): void => {}

  constructor(client: pg.Client) {
    client.on('notification', ({ channel }) => {
      this.#heard.add(channel)
      this.#wake()
    })
  }

  /** Channels heard since the last call; waits for one, up to `ms`, or until stopping. */
  async next(ms: number, signal: AbortSignal): Promise<ReadonlySet<string>> {
    if (this.#heard.size === 0) {
      const heard = new AbortController()
      this.#wake = () => heard.abort()
      await pause(Math.max(0, ms), AbortSignal.any([signal, heard.signal]))
    }
    const heard = this.#heard
    this.#heard = new Set()
    return heard
  }
}

/** Goes on beside the loop, which waits for nothing of it. */
class Pruning {
  readonly #deps: ReconcileDeps
  readonly #signal: AbortSignal
  #startedAtMs = -Infinity
  done: Promise<void> = Promise.resolve()

  constructor(deps: ReconcileDeps, signal: AbortSignal) {
    this.#deps = deps
    this.#signal = signal
  }

  startIfDue(): void {
    if (performance.now() - this.#startedAtMs < PRUNE_EVERY_MS) return
    this.#startedAtMs = performance.now()
    const { db, retentionDays, log } = this.#deps
    this.done = this.done
      .then(() => prune(db, retentionDays, this.#signal))
      .catch((error: unknown) => log.warn({ err: error }, 'pruning failed; it is tried again in an hour'))
  }
}

async function reconcile(deps: ReconcileDeps): Promise<void> {
  for (const run of await startedRuns(deps.db)) await endTerminatedRun(deps, run)
  await startWaiting(deps)
  for (const { sync, error } of await repairSchedules(deps, await syncSchedules(deps.db)))
    deps.log.warn({ err: error, sync }, 'Temporal refuses the schedule of this sync: correct its configuration')
}

/** Runs that were accepted and never started, runs whose turn has come, and what is to be told. */
async function startWaiting(deps: ReconcileDeps): Promise<void> {
  for (const sync of await waitingSyncs(deps.db)) await effect('promote', () => promoteNext(deps.db, sync))
  for (const run of await unstartedRuns(deps.db)) await startRun(deps, run)
  await startNotices(deps)
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
