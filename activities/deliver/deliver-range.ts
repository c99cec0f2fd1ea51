import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectorError } from '../../connectors/errors.ts'
import { accountPause, pauseAccount } from '../../state/budget.ts'
import { inheritedBatches, isActive, openBatches, outcomeTotals, type OpenBatch } from '../../state/ledger.ts'
import { loadRun, syncState } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { effect, passing } from '../failpoints.ts'
import { endOf, superseded } from '../failure.ts'
import { attemptBatch, settleAttempt, waitBeforeClaimMs, wentWell, type Attempt, type DeliveryGround } from './deliver-batch.ts'
import { mayJudge, rejectedStop } from './guard-watch.ts'
import { lanesOf } from './lanes.ts'
import { backoffMs } from './retry-policy.ts'

export interface RangeInput {
  readonly run: string
  /** `inherited`: batches of older runs that are sent again verbatim; the range does not matter. */
  readonly phase: 'upsert' | 'remove' | 'inherited'
  readonly fromSeq: number
  readonly toSeq: number
  /** Failures in a row that the destination had when this range was last given up. */
  readonly failures: number
}

export interface RangeResult {
  /** Batches that are still open; the range has to be delivered again after `waitMs`. */
  readonly left: number
  readonly waitMs: number
  readonly reason: string | null
  readonly failures: number
  /** The wait holds for the whole account, not only for some batches of this range. */
  readonly wholeAccount: boolean
  /** The destination refused every connection. */
  readonly unreachable: boolean
  /** The run must end. */
  readonly stop: { readonly code: string; readonly message: string } | null
  readonly totals: { readonly delivered: number; readonly skipped: number; readonly rejected: number }
}

/** A wait longer than this is handed to the workflow, whose timer shows it and costs no worker. */
const LONGEST_WAIT_MS = 3_000

/** Delivers a range of batches, several at once. Repeatable: settled batches are not touched, claimed ones of a dead attempt are in doubt. */
export async function deliverRange(deps: Deps, input: RangeInput, signal: AbortSignal): Promise<RangeResult> {
  const run = await loadRun(deps.db, input.run)
  if (!run || run.finished || !run.definition || !(await isActive(deps.db, input.run))) throw superseded()
  const definition = run.definition as RunDefinition
  const { destination } = await deps.connections.destination(definition.destination)
  // Inherited batches are sent before the plan has chosen a generation: they belong to the one that is there.
  const ground: DeliveryGround = {
    deps,
    definition,
    destination,
    signal,
    generation: run.generation ?? (await syncState(deps.db, run.sync))?.generation ?? 0,
  }
  if (input.phase === 'remove') passing('before-removals')
  const delivery = new RangeDelivery(ground, input)
  await delivery.run()
  signal.throwIfAborted()
  return delivery.result()
}

type Item = { batch: OpenBatch; readyAtMs: number }

class RangeDelivery {
  readonly #ground: DeliveryGround
  readonly #input: RangeInput
  #queue: Item[] = []
  #pausedUntilMs = 0
  #reason: string | null = null
  #failures: number
  #failedAtMs = -Infinity
  #unreachable = false
  #reached = false
  #stop: RangeResult['stop'] = null
  /** Refusals were seen when there were too few outcomes to judge them: the next ones may be enough. */
  #undecided = false
  #broken = false

  constructor(ground: DeliveryGround, input: RangeInput) {
    this.#ground = ground
    this.#input = input
    this.#failures = input.failures
  }

  /** Until nothing is open, or what is open has to wait longer than an activity should. */
  async run(): Promise<void> {
    const { destination } = this.#ground
    for (;;) {
      const open = await this.#open()
      const now = performance.now()
      this.#queue = open.map((batch) => ({ batch, readyAtMs: now + waitBeforeClaimMs(batch, destination) }))
      if (this.#over() || this.#soonest() - now > LONGEST_WAIT_MS) return
      // Twice as many as may send at once: what is being settled holds no lane.
      const batches = Math.min(2 * destination.concurrency, this.#queue.length)
      await this.#allLanes(batches)
    }
  }

  #open(): Promise<OpenBatch[]> {
    const { deps } = this.#ground
    const { run, phase, fromSeq, toSeq } = this.#input
    return phase === 'inherited' ? inheritedBatches(deps.db, run) : openBatches(deps.db, { run, phase, fromSeq, toSeq })
  }

  #over(): boolean {
    return this.#stop !== null || this.#broken || this.#ground.signal.aborted
  }

  /** When something can be done again; infinity: nothing is open. */
  #soonest(): number {
    const ready = this.#queue.reduce((least, item) => Math.min(least, item.readyAtMs), Infinity)
    return Math.max(ready, this.#pausedUntilMs)
  }

  /** A lane that breaks (the state database is away) ends the others: what they sent is settled, and nothing goes on behind the retry. */
  async #allLanes(count: number): Promise<void> {
    const lanes = Array.from({ length: count }, () =>
      this.#lane().catch((error: unknown) => {
        this.#broken = true
        throw error
      }),
    )
    for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason
  }

  async #lane(): Promise<void> {
    const { destination } = this.#ground
    const lanes = lanesOf(destination.account, destination.concurrency)
    while (!this.#over()) {
      const waitMs = this.#soonest() - performance.now()
      if (waitMs > LONGEST_WAIT_MS) return
      if (waitMs > 0) {
        await sleep(Math.max(1, waitMs), undefined, { signal: this.#ground.signal }).catch(() => undefined)
        continue
      }
      const item = this.#nextReady()
      if (!item) return
      const sent = await lanes.use(async () => {
        // Waiting for a lane may have taken long: what was ready may have to wait now.
        if (this.#over() || this.#pausedUntilMs > performance.now()) {
          this.#queue.unshift(item)
          return null
        }
        const tried = { beganAtMs: performance.now(), attempt: await attemptBatch(this.#ground, item.batch) }
        if (wentWell(tried.attempt)) return tried
        // It may pause or end the delivery: the lane sends nothing before that is known.
        await this.#settle(tried)
        return null
      })
      // Outside the lane: a settle took 5 to 8 ms beside a 50 ms request, in which the lane can send.
      if (sent) await this.#settle(sent)
    }
  }

  #nextReady(): Item | null {
    const now = performance.now()
    const at = this.#queue.findIndex((item) => item.readyAtMs <= now)
    return at < 0 ? null : (this.#queue.splice(at, 1)[0] ?? null)
  }

  async #settle({ attempt, beganAtMs }: { readonly attempt: Attempt; readonly beganAtMs: number }): Promise<void> {
    const { deps, destination } = this.#ground
    const tried = await settleAttempt(this.#ground, attempt, this.#failures)
    if (tried.rejected === true || this.#undecided) await this.#watchRejected()
    if (tried.done) {
      this.#failures = 0
      this.#reached = true
      return
    }
    if (tried.error) return this.#failed(tried.error, tried.waitMs, beganAtMs)
    if (tried.halves) {
      // Depth first: a storm of refusals has outcomes, and so its guard, before every batch was split.
      this.#queue.unshift(...tried.halves.map((batch) => ({ batch, readyAtMs: 0 })))
      return
    }
    // Not ours, or paused: what is open is asked anew after this round.
    const pause = await accountPause(deps.db, destination.account)
    if (pause) this.#pause(pause.waitMs, pause.reason)
    else if (!(await isActive(deps.db, this.#input.run))) throw superseded()
  }

  async #failed(error: ConnectorError, waitMs: number, beganAtMs: number): Promise<void> {
    const { deps, destination } = this.#ground
    const end = endOf(error)
    if (end !== null) {
      this.#stop = end
      return
    }
    if (error.kind === 'stale' || error.kind === 'cancelled') return
    this.#reason = error.message
    if (error.kind === 'throttled') {
      const quietMs = error.retryAfterMs ?? Math.max(waitMs, 1_000)
      await effect('pause', () => pauseAccount(deps.db, destination.account, quietMs, error.message))
      this.#pause(quietMs, error.message)
      return
    }
    // What was under way together failed together: eight lanes at once are one failure, not eight in a row.
    if (beganAtMs >= this.#failedAtMs) {
      this.#failures++
      this.#failedAtMs = performance.now()
    }
    this.#unreachable = error.kind === 'unreachable'
    if (error.kind !== 'unreachable') this.#reached = true
    this.#pause(Math.max(error.retryAfterMs ?? 0, backoffMs(this.#failures, Math.random())), error.message)
  }

  #pause(waitMs: number, reason: string): void {
    this.#reason = reason
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + waitMs)
  }

  async #watchRejected(): Promise<void> {
    const totals = await outcomeTotals(this.#ground.deps.db, this.#input.run)
    this.#undecided = !mayJudge(totals)
    this.#stop ??= rejectedStop(this.#ground.definition, totals)
  }

  async result(): Promise<RangeResult> {
    const { deps, destination } = this.#ground
    const open = await this.#open()
    const now = performance.now()
    const soonest = open.reduce((least, batch) => Math.min(least, waitBeforeClaimMs(batch, destination)), Infinity)
    const waitMs = open.length === 0 ? 0 : Math.max(0, soonest, this.#pausedUntilMs - now)
    const totals = await outcomeTotals(deps.db, this.#input.run)
    return {
      left: open.length,
      waitMs: Math.ceil(waitMs),
      reason: open.length === 0 ? null : (this.#reason ?? 'a lost request may still take effect; its records are read back after that'),
      failures: this.#failures,
      wholeAccount: this.#pausedUntilMs > now,
      unreachable: this.#unreachable && !this.#reached,
      // Other ranges may have refusals that this one did not see.
      stop: this.#stop ?? rejectedStop(this.#ground.definition, totals),
      totals,
    }
  }
}
