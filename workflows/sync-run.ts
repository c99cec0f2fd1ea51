import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import { bookkeeping, planning, preparing } from './activities.ts'
import { Story } from './story.ts'
import { deliverInBulk, endJobsOfOlderRuns } from './bulk.ts'
import { deliverPhase, type DeliverySteering } from './deliver.ts'
import { failureOf, type RunError } from './failure.ts'

export interface SyncRunInput {
  readonly run: string
  readonly sync: string
  /** Set when a long run goes on as new; `planned`: it is past its plan and its hold. */
  readonly resume?: { readonly paused: boolean; readonly planned: boolean }
}

type Answer = 'approved' | 'rejected'

const approve = defineUpdate<Answer>('approve')
const reject = defineUpdate<Answer>('reject')
const pause = defineSignal('pause')
const resume = defineSignal('resume')
const phase = defineQuery<string>('phase')

/** One run of a sync: prepare → plan → hold until approved, if a guard is crossed → deliver → finish. */
export async function syncRun(input: SyncRunInput): Promise<string> {
  const story = new Story(input)
  const steering: DeliverySteering = { paused: input.resume?.paused ?? false, scope: null, reached: input.resume !== undefined }
  const approval: { answer: Answer | null } = { answer: null }
  let holding = false
  setHandler(phase, () => story.phase)
  const answered = (answer: Answer): Answer => (approval.answer = answer)
  setHandler(approve, () => answered('approved'), { validator: () => mustHold(holding) })
  setHandler(reject, () => answered('rejected'), { validator: () => mustHold(holding) })
  setHandler(pause, () => {
    steering.paused = true
    steering.scope?.cancel()
  })
  setHandler(resume, () => void (steering.paused = false))

  try {
    if (!input.resume) await bookkeeping('note the start').noteStart({ run: input.run, temporalRunId: workflowInfo().firstExecutionRunId })
    const prepared = await preparing('freeze the definition, close older runs').prepare(input.run)
    story.prepared(prepared)
    const goOnAsNew = (planned: boolean): Promise<never> =>
      continueAsNew<typeof syncRun>({ ...input, resume: { paused: steering.paused, planned } })
    if (prepared.jobsLeft) await endJobsOfOlderRuns(input.run, prepared.jobsLeft)
    if (prepared.inherited > 0) {
      const ended = await deliverPhase(input.run, { phase: 'inherited', batches: prepared.inherited }, steering, story)
      if (ended === 'continue') await goOnAsNew(false)
    }
    const plan = await planning('compare model and baseline').plan(input.run)
    story.planned(plan)
    if (prepared.dryRun || prepared.adopt) return story.end(await finish(input.run, 'done', null, plan.holds))

    if (plan.holds.length > 0 && input.resume?.planned !== true) {
      const until = new Date(Date.now() + prepared.holdForMs).toISOString()
      holding = true
      await story.hold(plan.holds, until)
      const inTime = await condition(() => approval.answer !== null, prepared.holdForMs, { summary: 'hold until a person approves' })
      holding = false
      if (!inTime)
        return story.end(
          await finish(input.run, 'cancelled', { code: 'expired', message: `nobody approved it in time: ${plan.holds.join('; ')}` }),
        )
      if (approval.answer === 'rejected')
        return story.end(await finish(input.run, 'cancelled', { code: 'rejected', message: `rejected: ${plan.holds.join('; ')}` }))
    }

    await story.delivering()
    for (const phase of ['upsert', 'remove'] as const) {
      const batches = phase === 'upsert' ? plan.upsertBatches : plan.removeBatches
      const open = plan.bulk?.includes(phase) ? await deliverInBulk(input.run, phase, steering, story) : batches
      const ended = open === 'continue' ? open : await deliverPhase(input.run, { phase, batches, open }, steering, story)
      if (ended === 'continue') await goOnAsNew(true)
    }
    return story.end(await finish(input.run, 'done', null))
  } catch (error) {
    return await CancellationScope.nonCancellable(() => endBadly(input, error, story))
  }
}

function mustHold(holding: boolean): void {
  if (!holding) throw ApplicationFailure.nonRetryable('the run does not wait for approval', 'not_waiting')
}

async function finish(
  run: string,
  outcome: 'done' | 'failed' | 'cancelled',
  error: RunError | null,
  holds: readonly string[] = [],
): Promise<string> {
  return bookkeeping(`finish: ${error?.code ?? outcome}`).finish({ run, outcome, error, holds })
}

/** A cancelled or failed run is closed in our books; only then does the workflow end the same way. */
async function endBadly(input: SyncRunInput, error: unknown, story: Story): Promise<string> {
  if (isCancellation(error)) {
    story.end(await finish(input.run, 'cancelled', { code: 'cancelled', message: 'cancelled by request' }))
    throw error
  }
  const failure = failureOf(error)
  if (failure === null) throw error
  if (failure.code !== 'superseded') story.end(await finish(input.run, 'failed', failure))
  throw ApplicationFailure.create({ message: failure.message, type: failure.code, nonRetryable: true })
}
