import { Client, Connection } from '@temporalio/client'
import type { Stack } from './stack.ts'

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
