import { ApplicationFailure, CancellationScope, condition, workflowInfo } from '@temporalio/workflow'
import { bookkeeping, bulk, stoppingBulk } from './activities.ts'
import type { DeliverySteering } from './deliver.ts'
import type { Story } from './story.ts'

interface Jobs {
  readonly run: string
  /** Handed to the destination and not collected yet. */
  readonly underWay: Set<number>
  /** All are done, or one failed or the run is cancelled: no other one is begun. */
  over: boolean
  /** By this execution: each begins one at least, so that going on as new always gets further. */
  begun: number
}

/**
 * Delivers a phase by bulk jobs of the destination, several at once; gives how many batches they left open, which then go by
 * themselves. A pause lets jobs under way end and begins no other one; a cancelled or failed run stops them and keeps what they did.
 */
export async function deliverInBulk(
  run: string,
  phase: 'upsert' | 'remove',
  steering: DeliverySteering,
  story: Story,
): Promise<number | 'continue'> {
  const { jobs: ids, concurrency } = await bulk(`divide ${phase}s into bulk jobs`).bulkJobs({ run, phase })
  const jobs: Jobs = { run, underWay: new Set(), over: false, begun: 0 }
  const queue = ids.map((id, index) => ({ id, label: `bulk job ${index + 1} of ${ids.length}` }))
  const lane = async (): Promise<void> => {
    for (;;) {
      await condition(() => !steering.paused || jobs.over)
      const enough = jobs.over || (jobs.begun > 0 && workflowInfo().continueAsNewSuggested)
      const next = enough ? undefined : queue.shift()
      if (!next) return
      jobs.begun++
      await deliverJob(jobs, next.id, next.label, story)
    }
  }
  const scope = new CancellationScope()
  let lanes: Promise<void>[] = []
  const work = scope.run(() => Promise.all((lanes = Array.from({ length: Math.min(concurrency, ids.length) }, lane))))
  try {
    await Promise.all([work.finally(() => (jobs.over = true)), showPauses(jobs, steering, story)])
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      scope.cancel()
      await Promise.allSettled(lanes)
      await stopJobs(jobs)
    })
    throw error
  }
  steering.reached ||= ids.length > 0
  if (queue.length > 0) return 'continue'
  return bookkeeping(`what bulk jobs left of ${phase}s`).bulkLeft({ run, phase })
}

async function deliverJob({ run, underWay }: Jobs, job: number, label: string, story: Story): Promise<void> {
  const input = { run, job }
  underWay.add(job)
  do {
    if (!(await bulk(`${label}: open`).bulkOpen(input))) return void underWay.delete(job)
  } while (!(await bulk(`${label}: upload`).bulkUpload(input)))
  await bulk(`${label}: hand over`).bulkClose(input)
  await bulk(`${label}: wait until it has ended`).bulkPoll(input)
  const { totals, stop } = await bulk(`${label}: settle its results`).bulkCollect(input)
  underWay.delete(job)
  story.delivered(totals)
  if (stop) throw ApplicationFailure.nonRetryable(stop.message, stop.code)
}

/** What jobs had done when they were stopped is settled. What cannot be known now is in doubt: the next run looks first. */
async function stopJobs({ run, underWay }: Jobs): Promise<void> {
  const stopped = [...underWay].map(async (job) => {
    const step = stoppingBulk('stop a bulk job and settle what it did')
    await step.bulkAbort({ run, job })
    await step.bulkCollect({ run, job })
  })
  await Promise.allSettled(stopped)
}

/** The run of a terminated workflow may have left jobs that still write: nothing is planned before they have ended. */
export async function endJobsOfOlderRuns(run: string, jobs: readonly number[]): Promise<void> {
  await Promise.all(jobs.map((job) => bulk('end a bulk job of an older run').bulkAbort({ run, job })))
}

/** Shows a pause while jobs under way go on, until it is over. */
async function showPauses(jobs: Jobs, steering: DeliverySteering, story: Story): Promise<void> {
  const over = (): boolean => jobs.over
  for (;;) {
    await condition(() => steering.paused || over())
    if (over()) return
    await story.paused()
    await condition(() => !steering.paused || over())
    if (!over()) await story.delivering()
  }
}
