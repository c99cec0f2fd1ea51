import { ApplicationFailure, CancellationScope, condition, isCancellation, patched, sleep, workflowInfo } from '@temporalio/workflow'
import { delivering } from './activities.ts'
import type { Story } from './story.ts'

export interface DeliverySteering {
  paused: boolean
  /** Of the ranges under way; cancelling it lets requests in flight end. */
  scope: CancellationScope | null
  /** The destination has taken a connection since delivery began: however long it is away now, the run waits for it. */
  reached: boolean
}

export interface Phase {
  readonly phase: 'upsert' | 'remove' | 'inherited'
  readonly batches: number
  /** How many of them are open; all, if it is not said. */
  readonly open?: number
}

/**
 * How many ranges are in flight, and the fewest batches of one. Temporal hands each to any worker that asks: of four, one of two
 * workers had none at times. Two workers at 50 ms: 1.45 times one with 4 ranges of 100 batches, 1.69 times with 8 of 64. 64 batches
 * last 6 s at 10 requests a second, and 100,000 records stay below 150 events; larger plans get larger ranges, so that 1M records stay
 * below 1,000.
 */
const CUT = { window: 8, least: 64 }
/** Of runs that began to deliver before that. */
const EARLIER_CUT = { window: 4, least: 100 }
const MOST_RANGES = 100
/** A destination that refuses every connection for so long from the start of delivery is given up. */
const UNREACHABLE_MS = 60_000

/**
 * Delivers a phase of the plan through a sliding window of ranges. Waits and pauses happen between ranges, as timers.
 * `continue`: the history is long enough, go on as new (the ledger knows where).
 */
export async function deliverPhase(
  run: string,
  { phase, batches, open = batches }: Phase,
  steering: DeliverySteering,
  story: Story,
): Promise<'done' | 'continue'> {
  if (open === 0) return 'done'
  const { window, least } = patched('eight-ranges') ? CUT : EARLIER_CUT
  let ranges = rangesOf({ phase, batches }, open, least)
  const startedAt = Date.now()

  for (;;) {
    if (steering.paused) await paused(steering, story)
    const wait: Wait = { waitMs: 0, reason: null, wholeAccount: false }
    const queue = [...ranges]
    const lane = async () => {
      for (let range = queue.shift(); range && !steering.paused && !wait.wholeAccount; range = queue.shift()) {
        const label =
          phase === 'inherited' ? 'send again what an older run left open' : `${phase} batches ${range.from}–${range.to} of ${batches}`
        const result = await delivering(label).deliver({ run, phase, fromSeq: range.from, toSeq: range.to, failures: range.failures })
        story.delivered(result.totals)
        if (result.stop) throw ApplicationFailure.nonRetryable(result.stop.message, result.stop.code)
        range.failures = result.failures
        range.done = result.left === 0
        steering.reached ||= range.done || !result.unreachable
        if (!steering.reached && Date.now() - startedAt > UNREACHABLE_MS) {
          throw ApplicationFailure.nonRetryable(`${result.reason ?? 'no connection'}, for 60 s from the start of delivery`, 'unreachable')
        }
        if (range.done) continue
        wait.waitMs = Math.max(wait.waitMs, result.waitMs)
        wait.reason = result.reason
        if (result.wholeAccount) wait.wholeAccount = true
      }
    }
    await inScope(steering, () => Promise.all(Array.from({ length: Math.min(window, ranges.length) }, lane)))
    ranges = ranges.filter((range) => !range.done)
    if (ranges.length === 0) return 'done'
    if (workflowInfo().continueAsNewSuggested) return 'continue'
    if (wait.waitMs > 0 && !steering.paused) await waited(wait, steering, story)
  }
}

interface Range {
  readonly from: number
  readonly to: number
  failures: number
  done: boolean
}

interface Wait {
  waitMs: number
  reason: string | null
  /** Nobody may send to the account: the other ranges need not try. */
  wholeAccount: boolean
}

/** Few open batches among many settled ones make few ranges. */
function rangesOf({ phase, batches }: Phase, open: number, least: number): Range[] {
  const most = Math.min(MOST_RANGES, Math.ceil(open / least))
  const size = phase === 'inherited' ? batches : Math.max(least, Math.ceil(batches / most))
  return Array.from({ length: Math.ceil(batches / size) }, (_, i) => ({
    from: i * size,
    to: Math.min(batches, (i + 1) * size) - 1,
    failures: 0,
    done: false,
  }))
}

/**
 * A pause cancels the ranges under way; what they had not settled stays open and is delivered after it. It may be over by the time
 * that they have ended, so what tells it from a cancelled run is that the run's own scope goes on.
 */
async function inScope(steering: DeliverySteering, work: () => Promise<unknown>): Promise<void> {
  const scope = new CancellationScope()
  steering.scope = scope
  try {
    await scope.run(work)
  } catch (error) {
    if (!isCancellation(error) || CancellationScope.current().consideredCancelled) throw error
  } finally {
    steering.scope = null
  }
}

async function paused(steering: DeliverySteering, story: Story): Promise<void> {
  await story.paused()
  await condition(() => !steering.paused)
  await story.delivering()
}

async function waited({ waitMs, reason }: Wait, steering: DeliverySteering, story: Story): Promise<void> {
  const why = reason ?? 'waiting'
  await story.waiting(why, new Date(Date.now() + waitMs).toISOString())
  await inScope(steering, () => sleep(waitMs, { summary: why.slice(0, 190) }))
  await story.waiting(null, null)
}
