import { heartbeat } from '@temporalio/activity'
import { noteStarted } from '../state/run-row.ts'
import { collectJob } from './deliver/bulk-collect.ts'
import { abortJob, closeJob, divideIntoJobs, leftByJobs, openJob, pollJob, uploadJob, type BulkPhase } from './deliver/bulk-job.ts'
import { bulkStep, type BulkInput } from './deliver/bulk-step.ts'
import { deliverRange, type RangeInput, type RangeResult } from './deliver/deliver-range.ts'
import { noteState, type RunNote } from './deliver/note-state.ts'
import type { Deps } from './deps.ts'
import { beating } from './failure.ts'
import { effect } from './failpoints.ts'
import { finishRun, type FinishInput } from './finish/finish.ts'
import type { InspectRequest } from './launch/inspect-request.ts'
import { answerInspection } from './launch/answer.ts'
import { launchScheduled } from './launch/launch.ts'
import { giveUpNotice, sendNotice } from './notify/notify.ts'
import { makePlan } from './plan/plan.ts'
import type { PlanResult } from './plan/result.ts'
import { prepareRun, type Prepared } from './prepare/prepare.ts'

export type Activities = ReturnType<typeof createActivities>

/** The steps of a run, in the order of its story. Every one is safe to repeat; arguments and results are ids, counts and ranges. */
export function createActivities(deps: Deps) {
  return {
    noteStart: (input: { run: string; temporalRunId: string }): Promise<void> =>
      effect('note-start', () => noteStarted(deps.db, input.run, input.temporalRunId)),
    prepare: (run: string): Promise<Prepared> => beating((signal) => prepareRun(deps, run, signal, () => heartbeat())),
    plan: (run: string): Promise<PlanResult> => beating((signal, show) => makePlan(deps, run, signal, show)),
    deliver: (input: RangeInput): Promise<RangeResult> => beating((signal) => deliverRange(deps, input, signal)),
    bulkJobs: (phase: BulkPhase): Promise<{ jobs: number[]; concurrency: number }> => beating(() => divideIntoJobs(deps, phase)),
    bulkOpen: (input: BulkInput): Promise<boolean> => beating((signal) => bulkStep(deps, input, signal, openJob)),
    bulkUpload: (input: BulkInput): Promise<boolean> => beating((signal) => bulkStep(deps, input, signal, uploadJob)),
    bulkClose: (input: BulkInput): Promise<void> => beating((signal) => bulkStep(deps, input, signal, closeJob)),
    bulkPoll: (input: BulkInput): Promise<string | null> => beating((signal) => bulkStep(deps, input, signal, pollJob)),
    bulkCollect: (input: BulkInput): Promise<Pick<RangeResult, 'stop' | 'totals'>> =>
      beating((signal) => bulkStep(deps, input, signal, collectJob)),
    bulkAbort: (input: BulkInput): Promise<void> => beating((signal) => bulkStep(deps, input, signal, abortJob)),
    bulkLeft: (phase: BulkPhase): Promise<number> => leftByJobs(deps, phase),
    finish: (input: FinishInput): Promise<string> => finishRun(deps, input),
    noteState: (input: RunNote): Promise<void> => noteState(deps, input),

    notify: (notice: string): Promise<string> => beating((signal) => sendNotice(deps, notice, signal)),
    giveUpNotice: (notice: string): Promise<void> => giveUpNotice(deps, notice),

    launch: (sync: string): Promise<string> => launchScheduled(deps, sync),
    inspect: (input: { id: string; request: InspectRequest }): Promise<void> => beating((signal) => answerInspection(deps, input, signal)),
  }
}
