import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'
import { Refusal } from './stand-in-answers.ts'
import type { Settings } from './stand-in-settings.ts'

/** Counts API calls of the org's day. */
export class DailyCalls {
  #used = 0
  refused = 0

  set(used: number): void {
    this.#used = used
  }

  /** Counts a request. Throws Refusal 403 where none is left. */
  take({ dailyRequests }: Settings): void {
    if (this.#used >= dailyRequests) {
      this.refused += 1
      throw new Refusal(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.')
    }
    this.#used += 1
  }

  /** On every REST answer. */
  header({ dailyRequests }: Settings): Readonly<Record<string, string>> {
    return { 'sforce-limit-info': `api-usage=${this.#used}/${dailyRequests}` }
  }

  /** `GET /limits`. */
  limits({ dailyRequests, bulkBatches }: Settings, batchesLeft: number): StandInAnswer {
    return jsonAnswer(200, {
      ConcurrentAsyncGetReportInstances: { Max: 200, Remaining: 200 },
      DailyApiRequests: { Max: dailyRequests, Remaining: Math.max(0, dailyRequests - this.#used) },
      DailyBulkApiBatches: { Max: bulkBatches, Remaining: batchesLeft },
      DailyBulkV2QueryJobs: { Max: 10_000, Remaining: 10_000 },
      DataStorageMB: { Max: 5_120, Remaining: 5_000 },
    })
  }
}
