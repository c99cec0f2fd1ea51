import { Client, Connection } from '@temporalio/client'
import { eventually } from './eventually.ts'
import type { Stack } from './stack.ts'

/** temporal.api.enums.v1.PendingActivityState */
const CANCEL_REQUESTED = 3

/** What people do to workflows in Temporal itself, past our API. */
async function withTemporal<T>(stack: Stack, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    return await work(new Client({ connection, namespace: stack.namespace }))
  } finally {
    await connection.close()
  }
}

export function terminate(stack: Stack, sync = 'contacts'): Promise<void> {
  return withTemporal(stack, async (client) => {
    await client.workflow.getHandle(`sync/${sync}`).terminate('by a test')
  })
}

/** Which event a reset goes back to the moment before: the first one that it gets true for. */
export type ResetPoint = 'start' | 'plan' | 'deliver' | 'cancel'

/** Resets an execution (default: the current one); the id of the execution that goes on in its place. */
export function reset(
  stack: Stack,
  before: ResetPoint,
  { sync = 'contacts', runId }: { sync?: string; runId?: string } = {},
): Promise<string> {
  return withTemporal(stack, async (client) => {
    const workflowId = `sync/${sync}`
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory()
    let finished = null
    for (const event of events ?? []) {
      if (finished !== null && before === 'start') break
      if (before === 'cancel' && event.workflowExecutionCancelRequestedEventAttributes) break
      if (event.activityTaskScheduledEventAttributes?.activityType?.name === before) break
      if (event.workflowTaskCompletedEventAttributes) finished = event.eventId ?? null
    }
    const answer = await client.connection.workflowService.resetWorkflowExecution({
      namespace: stack.namespace,
      workflowExecution: { workflowId, ...(runId === undefined ? {} : { runId }) },
      reason: 'a test',
      workflowTaskFinishEventId: finished,
      requestId: `${runId ?? ''} ${before} ${performance.now()}`,
    })
    return answer.runId
  })
}

/** How an execution ended: `completed` or the type of its failure. */
export function workflowEnd(stack: Stack, runId: string, sync = 'contacts'): Promise<string> {
  return withTemporal(stack, async (client) => {
    try {
      await client.workflow.getHandle(`sync/${sync}`, runId, { firstExecutionRunId: runId }).result()
      return 'completed'
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      return cause instanceof Error && 'type' in cause ? String(cause.type) : String(cause ?? error)
    }
  })
}

/** Sends the current execution these signals, one right after the other. */
export function signal(stack: Stack, ...names: readonly string[]): Promise<void> {
  return withTemporal(stack, async (client) => {
    for (const name of names) await client.workflow.getHandle('sync/contacts').signal(name)
  })
}

/** Waits until the worker knows that what it delivers was cancelled: it learns it with the answer to its next heartbeat. */
export function cancelHeard(stack: Stack, sync = 'contacts'): Promise<void> {
  return withTemporal(stack, async (client) => {
    let first: string | null = null
    await eventually('a heartbeat after the cancellation', async () => {
      const { raw } = await client.workflow.getHandle(`sync/${sync}`).describe()
      const activity = raw.pendingActivities?.find(({ state }) => Number(state) === CANCEL_REQUESTED)
      const beat = JSON.stringify(activity?.lastHeartbeatTime ?? null)
      if (activity !== undefined) first ??= beat
      return first !== null && (activity === undefined || beat !== first)
    })
  })
}

/** The execution that this one went on as; null: it did not. */
export function wentOnAs(stack: Stack, runId: string, sync = 'contacts'): Promise<string | null> {
  return withTemporal(stack, async (client) => {
    const { events } = await client.workflow.getHandle(`sync/${sync}`, runId).fetchHistory()
    return events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? null
  })
}
