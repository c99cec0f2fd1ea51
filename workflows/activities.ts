import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'

/**
 * The steps of a run as activities, each call with a summary for the web UI. Errors that end a run are not retried (the activity
 * says so); everything else is, without end: a worker, the state database or Temporal may be away for as long as it takes.
 */
const step = (options: ActivityOptions) => (summary: string) => proxyActivities<Activities>({ ...options, summary })

const retry = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s' } as const

/** Single statements and calls: a worker that died in one is replaced after this and a second. */
export const bookkeeping = step({ startToCloseTimeout: '15s', retry })
export const preparing = step({ startToCloseTimeout: '30 minutes', heartbeatTimeout: '10s', retry })
export const planning = step({ startToCloseTimeout: '12 hours', heartbeatTimeout: '10s', retry })
/** Steps of a bulk job. The long wait for it is this retry, which the activity times itself: a timer of the server, no history. */
export const bulk = step({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
})
/** Stopping a job that nobody waits for any more; what is not known after that, the next run finds out. */
export const stoppingBulk = step({ startToCloseTimeout: '1 hour', scheduleToCloseTimeout: '10 minutes', heartbeatTimeout: '10s', retry })
/** Cancelling waits for requests in flight: their outcome is settled, not lost. */
export const delivering = step({
  // Handed straight to the worker that has the workflow, ranges would never reach another one: two workers were no faster than one.
  allowEagerDispatch: false,
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
})
