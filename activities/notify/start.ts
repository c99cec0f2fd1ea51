import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import { noteNoticeStarted, unstartedNotices } from '../../state/notices.ts'
import type { LaunchDeps } from '../launch/start-run.ts'

const A_PASS = 100

/** Starts a workflow for every notice that has none, up to a hundred. Repeatable: a notice's workflow id is its own. */
export async function startNotices(deps: LaunchDeps): Promise<void> {
  for (const { id, notification, event } of await unstartedNotices(deps.db, A_PASS)) {
    try {
      await deps.client.workflow.start('notify', {
        workflowId: `notify/${id}`,
        taskQueue: deps.taskQueue,
        args: [id],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        staticSummary: `tell ${notification}: ${event}`,
      })
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    }
    await noteNoticeStarted(deps.db, id)
  }
}
