import { setTimeout as sleep } from 'node:timers/promises'
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client'
import { loadSync } from '../../state/configuration.ts'
import { endRun, noteStarted, unbegunRun } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'

/** What starting runs and asking Temporal needs: no sources, no destinations. */
export type LaunchDeps = Omit<Deps, 'connections'>

const CLOSING_TRIES = 10
const CLOSING_PAUSE_MS = 150

export const workflowIdOf = (sync: string): string => `sync/${sync}`

/**
 * Starts the workflow of an accepted run. Safe to repeat: the id `sync/<name>` admits one running workflow, and one that is
 * started twice finds its run ended. Throws only if Temporal is away. Gives false while the workflow of an earlier run is still closing.
 */
export async function startRun(deps: LaunchDeps, run: { id: string; sync: string }): Promise<boolean> {
  // A run's row ends a moment before its workflow closes, and only then is the id free.
  for (let tries = 0; tries < CLOSING_TRIES; tries++) {
    if (tries > 0) await sleep(CLOSING_PAUSE_MS)
    const unbegun = await unbegunRun(deps.db, run.id)
    if (unbegun === null || (await startOnce(deps, run, unbegun.traceparent))) return true
  }
  return false
}

async function startOnce(deps: LaunchDeps, run: { id: string; sync: string }, traceparent: string | null): Promise<boolean> {
  const spec = (await loadSync(deps.db, run.sync))?.sync
  try {
    const handle = await effect('start', () =>
      deps.client.workflow.start('syncRun', {
        workflowId: workflowIdOf(run.sync),
        taskQueue: deps.taskQueue,
        args: [{ run: run.id, sync: run.sync }],
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        staticSummary: `${run.sync}: ${spec?.model ?? '?'} → ${spec?.destination ?? '?'}`,
        memo: { run: run.id, ...(traceparent !== null && { traceparent }) },
      }),
    )
    await effect('note-start', () => noteStarted(deps.db, run.id, handle.firstExecutionRunId))
    return true
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    return false
  }
}

/** Closes the row of a run whose workflow was ended from outside (terminated, timed out, deleted). True: the row is ended now. */
export async function endTerminatedRun(deps: LaunchDeps, run: { id: string; sync: string; temporalRunId: string }): Promise<boolean> {
  const description = await describe(deps.client, run)
  if (description && (description.status.name === 'RUNNING' || description.status.name === 'CONTINUED_AS_NEW')) return false
  const how = description ? description.status.name.toLowerCase().replace('_', ' ') : 'gone'
  const message = `the workflow is ${how} in Temporal; what it was sending is in doubt and is read back by the next run`
  const code = description?.status.name === 'TERMINATED' ? 'terminated' : 'workflow'
  const end = { run: run.id, sync: run.sync, outcome: 'failed', error: { code, message }, waiting: null, mappingId: null } as const
  await effect('end', () => endRun(deps.db, end))
  deps.journal.ended({ run: run.id, sync: run.sync, state: 'failed', seconds: null, code })
  return true
}

/** The latest execution of the run's chain (continue-as-new, reset); null when Temporal knows none. */
async function describe(client: Client, run: { sync: string; temporalRunId: string }): Promise<WorkflowExecutionDescription | null> {
  try {
    const latest = await client.workflow.getHandle(workflowIdOf(run.sync)).describe()
    const chain = latest.raw.workflowExecutionInfo?.firstRunId ?? latest.runId
    if (chain === run.temporalRunId) return latest
    return await client.workflow.getHandle(workflowIdOf(run.sync), run.temporalRunId).describe()
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}
