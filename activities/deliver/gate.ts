import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Destination, RequestGate } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { allowRate, takeRequest } from '../../state/budget.ts'
import { failpointsArmed, passing } from '../failpoints.ts'

/** Bytes that leave later than this after the claim was written down could meet the next attempt's read-back (invariant 5). */
export const MAX_CLAIM_AGE_MS = 5_000

/** A claim that the gate guards: `renew` writes it down anew before each further request; false when it is not ours any more. */
export interface Claim {
  claimedAtMs: number
  renew(): Promise<boolean>
}

/** Budget of the account and age of the claim, asked before each request that a connector makes. */
export class Gate implements RequestGate {
  readonly signal: AbortSignal
  /** Absent unless failpoints are armed: then a body leaves in two writes. */
  readonly watch?: (moment: 'half' | 'answered') => void
  readonly db: pg.Pool
  readonly destination: Destination
  #prepaid = 0
  #claim: Claim | null = null
  #used = false

  constructor(db: pg.Pool, destination: Destination, signal: AbortSignal) {
    this.db = db
    this.destination = destination
    this.signal = signal
    if (failpointsArmed()) this.watch = (moment) => passing(moment === 'half' ? 'in-request' : 'after-request')
  }

  /** Waits for the budget before the batch is claimed, so that the claim is fresh when the first request leaves. */
  async prepay(): Promise<void> {
    await this.#take()
    this.#prepaid++
  }

  guard(claim: Claim): void {
    this.#claim = claim
    this.#used = false
  }

  async admit(): Promise<void> {
    if (this.#prepaid > 0) this.#prepaid--
    else await this.#take()
    if (this.#used && this.#claim) {
      if (!(await this.#claim.renew())) throw new ConnectorError('stale', 'the batch was taken over by another worker')
      this.#claim.claimedAtMs = performance.now()
    }
    this.#used = true
  }

  assertFresh(): void {
    if (this.#claim && performance.now() - this.#claim.claimedAtMs > MAX_CLAIM_AGE_MS)
      throw new ConnectorError('stale', 'the claim is too old to send')
    passing('before-request')
  }

  /** The account follows its headers from the next request on; losing one such note does no harm. */
  allow({ requestsPerSecond }: { requestsPerSecond: number }): void {
    if (this.destination.requestsPerSecond === null) return
    void allowRate(this.db, this.destination.account, requestsPerSecond).catch(() => undefined)
  }

  async #take(): Promise<void> {
    const rate = this.destination.requestsPerSecond
    if (rate === null) return
    const taken = await takeRequest(this.db, this.destination.account, rate)
    if ('paused' in taken) throw new ConnectorError('throttled', taken.paused.reason, { retryAfterMs: taken.paused.waitMs })
    if (taken.waitMs > 0)
      await sleep(taken.waitMs, undefined, { signal: this.signal }).catch(() => Promise.reject(new ConnectorError('cancelled', 'stopping')))
  }
}
