import { randomUUID } from 'node:crypto'
import { answerOf, askInspection } from '../../state/inspections.ts'
import type { InspectRequest } from './inspect-request.ts'
import type { LaunchDeps } from './start-run.ts'

const PATIENCE = '60s'

/** Nobody answered: no worker runs, or Temporal is away. */
export class NoWorkerError extends Error {}

/**
 * Asks a worker, through Temporal, and reads its answer from the state database. `input` (documents to check) goes the same way.
 * Throws NoWorkerError when no worker answers within a minute.
 */
export async function inspect(deps: LaunchDeps, request: InspectRequest, input: unknown = null): Promise<unknown> {
  const id = randomUUID()
  await askInspection(deps.db, id, input)
  try {
    await deps.client.workflow.execute('inspection', {
      workflowId: `inspect/${id}`,
      taskQueue: deps.taskQueue,
      args: [{ id, request }],
      workflowExecutionTimeout: PATIENCE,
      staticSummary: request.kind,
    })
  } catch (cause) {
    const answer = await answerOf(deps.db, id)
    if (answer !== undefined) return answer
    throw new NoWorkerError('no worker answered within a minute: check that a worker runs and reaches Temporal', { cause })
  }
  return answerOf(deps.db, id)
}
