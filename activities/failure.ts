import { setMaxListeners } from 'node:events'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { activityInfo, Context, heartbeat, type Info as ActivityInfo } from '@temporalio/activity'
import { ConnectorError, ERROR_KINDS } from '../connectors/errors.ts'

/** A warehouse that went away is asked this often before the run fails; the state database and Temporal are waited for without end. */
const SOURCE_ATTEMPTS = 3
/** A destination that is asked before anything is sent is waited for so long at least, as at the start of delivery. */
const UNREACHABLE_MS = 60_000

/** The run cannot go on: another run took its place, or it has ended. Nothing was changed. */
export function superseded(): ApplicationFailure {
  return ApplicationFailure.create({
    message: 'the run has ended or another run of the sync took its place',
    type: 'superseded',
    nonRetryable: true,
  })
}

/** Ends the run with this code; the message holds neither row values nor secrets. */
export function runFailure(code: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({ message, type: code, nonRetryable: true })
}

/** What Temporal gets to see of an error: kind and message; no cause, no stack of a driver, no body. */
function asFailure(error: unknown, { attempt, scheduledTimestampMs }: ActivityInfo): unknown {
  if (!(error instanceof ConnectorError)) return error
  const end = endOf(error)
  if (end !== null) return runFailure(end.code, end.message)
  const away = error.kind === 'unreachable' || error.kind === 'in_doubt'
  const waitedMs = Date.now() - scheduledTimestampMs
  const gaveUp = attempt >= SOURCE_ATTEMPTS && (error.kind === 'source' || (away && waitedMs > UNREACHABLE_MS))
  return ApplicationFailure.create({
    message: error.message,
    type: error.kind,
    nonRetryable: gaveUp,
    ...(error.retryAfterMs === null ? {} : { nextRetryDelay: error.retryAfterMs }),
  })
}

/** How the run ends by this error; null: it goes on. */
export function endOf(error: ConnectorError): { code: string; message: string } | null {
  const { end } = ERROR_KINDS[error.kind]
  return end === null ? null : { code: end, message: withAdvice(error) }
}

export function withAdvice(error: ConnectorError): string {
  return `${error.message}. ${ERROR_KINDS[error.kind].advice}`.replace(/\.\. /, '. ').trim()
}

const BEAT_MS = 2_000

/** Whether another attempt of this activity goes on with the work that was aborted: nobody cancelled it, and its run is still there. */
export function willGoOn(signal: AbortSignal): boolean {
  const { reason } = signal as { reason: unknown }
  return reason instanceof CancelledFailure && ['WORKER_SHUTDOWN', 'TIMED_OUT'].includes(reason.message)
}

/**
 * Runs an activity's work with a heartbeat beside it, and hands its errors to Temporal in our words. What the work `show`s is seen
 * with the activity in Temporal's web UI.
 */
export async function beating<T>(work: (signal: AbortSignal, show: (details: unknown) => void) => Promise<T>): Promise<T> {
  const signal = Context.current().cancellationSignal
  // One listener a request in flight is no leak.
  setMaxListeners(0, signal)
  let details: unknown = null
  const timer = setInterval(() => heartbeat(details), BEAT_MS)
  const show = (shown: unknown): void => heartbeat((details = shown))
  try {
    return await work(signal, show)
  } catch (error) {
    signal.throwIfAborted()
    throw asFailure(error, activityInfo())
  } finally {
    clearInterval(timer)
  }
}
