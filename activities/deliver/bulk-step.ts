import { ApplicationFailure, activityInfo } from '@temporalio/activity'
import type { BulkLoader, BulkRequest } from '../../connectors/contract.ts'
import { ConnectorError, ERROR_KINDS } from '../../connectors/errors.ts'
import { accountPause, pauseAccount } from '../../state/budget.ts'
import { anyJobOpened, loadJob, type BulkJobRow } from '../../state/bulk-jobs.ts'
import { isActive } from '../../state/ledger.ts'
import { loadRun, setRunState } from '../../state/run-row.ts'
import type { RunDefinition } from '../definition.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'
import { runFailure, superseded, withAdvice } from '../failure.ts'
import type { DeliveryGround } from './deliver-batch.ts'
import { Gate } from './gate.ts'
import { backoffMs } from './retry-policy.ts'

/** What one step of a bulk job works with. */
export interface JobGround extends DeliveryGround {
  readonly job: BulkJobRow
  readonly bulk: BulkLoader
  readonly request: BulkRequest
  readonly gate: Gate
}

export interface BulkInput {
  readonly job: number
  /** The run that asks. A job of an older run of the sync can be aborted only. */
  readonly run: string
}

/** A wait longer than this is shown as the run's; a shorter one is over before anybody looks. */
const SHORT_WAIT_MS = 3_000
/** A destination that refuses every connection for so long from the start of delivery is given up. */
const UNREACHABLE_MS = 60_000

/**
 * One step of a bulk job. What may be tried again is thrown as a failure that says when, and Temporal tries it then: a timer of its
 * server, no history and no worker held.
 */
export async function bulkStep<T>(
  deps: Deps,
  { job: id, run }: BulkInput,
  signal: AbortSignal,
  work: (ground: JobGround) => Promise<T>,
): Promise<T> {
  const job = await loadJob(deps.db, id)
  const record = await loadRun(deps.db, job?.run ?? run)
  if (!job || !record?.definition || !(await isActive(deps.db, run))) throw superseded()
  const definition = record.definition as RunDefinition
  const { destination } = await deps.connections.destination(definition.destination)
  if (!destination.bulk) throw runFailure('internal', `${definition.destination.name} has no bulk jobs`)
  const gate = new HeedingGate(deps.db, destination, signal)
  const generation = record.generation ?? 0
  const ground = { deps, definition, generation, destination, signal, job, bulk: destination.bulk, gate }
  const attempt = activityInfo().attempt
  try {
    const result = await work({ ...ground, request: requestOf(definition, job) })
    if (attempt > 1) await effect('note-state', () => setRunState(deps.db, run, null, null))
    return result
  } catch (error) {
    if (!(error instanceof ConnectorError) || ERROR_KINDS[error.kind].end !== null) throw error
    if (error.kind === 'refused') throw runFailure('destination', error.message)
    deps.journal.batchFailed({
      run,
      sync: record.sync,
      destination: definition.destination.name,
      batch: null,
      kind: error.kind,
      code: error.code,
    })
    throw await retryLater(deps, { run, account: destination.account, attempt, error })
  }
}

async function retryLater(
  deps: Deps,
  { run, account, attempt, error }: { run: string; account: string; attempt: number; error: ConnectorError },
): Promise<ApplicationFailure> {
  if (error.kind === 'unreachable' && sinceScheduledMs() > UNREACHABLE_MS && !(await anyJobOpened(deps.db, run)))
    return runFailure('unreachable', withAdvice(error))
  const waitMs =
    error.kind === 'throttled' ? (error.retryAfterMs ?? 1_000) : Math.max(error.retryAfterMs ?? 0, backoffMs(attempt, Math.random()))
  if (error.kind === 'throttled') await effect('pause', () => pauseAccount(deps.db, account, waitMs, error.message))
  const waiting = { reason: error.message, until: new Date(Date.now() + waitMs).toISOString() }
  if (waitMs > SHORT_WAIT_MS) await effect('note-state', () => setRunState(deps.db, run, null, waiting))
  return ApplicationFailure.create({ message: error.message, type: error.kind, nextRetryDelay: waitMs })
}

/** Heeds the account's pause before each request: no claim does it for these. */
class HeedingGate extends Gate {
  override async admit(): Promise<void> {
    const pause = await accountPause(this.db, this.destination.account)
    if (pause) throw new ConnectorError('throttled', pause.reason, { retryAfterMs: pause.waitMs })
    await super.admit()
  }
}

function sinceScheduledMs(): number {
  return Date.now() - activityInfo().scheduledTimestampMs
}

export function requestOf({ spec }: RunDefinition, { phase }: Pick<BulkJobRow, 'phase'>): BulkRequest {
  return {
    object: spec.object ?? '',
    mode: spec.mode,
    match: spec.match ?? null,
    op: phase === 'remove' ? 'delete' : 'upsert',
    fields: Object.keys(spec.fields),
  }
}
