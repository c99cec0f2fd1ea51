import { randomUUID } from 'node:crypto'
import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'
import type { Settings } from './stand-in-settings.ts'

const WINDOW_MS = 10_000

/** OAuth apps: requests per 10 s and account. */
const OAUTH_PER_TEN_SECONDS = 110

export type Taken = { readonly refusal: StandInAnswer } | { readonly headers: Readonly<Record<string, string>> }

type Policy = 'DAILY' | 'TEN_SECONDLY_ROLLING' | 'SECONDLY'

const WORDS: Readonly<Record<Policy, string>> = { DAILY: 'daily', TEN_SECONDLY_ROLLING: 'ten_secondly_rolling', SECONDLY: 'secondly' }

/** Counts requests as HubSpot does: a rolling window of ten seconds, a day of the account's clock, and search by the second. */
export class RateLimits {
  #window: number[] = []
  #searches: number[] = []
  #day = ''
  #today = 0
  #refused = 0

  get refused(): number {
    return this.#refused
  }

  /** The refusal if a limit is reached, else the headers for this request's answer. Refused requests do not count. */
  take(settings: Settings, kind: { readonly oauth: boolean; readonly search: boolean }, now: number): Taken {
    const day = new Intl.DateTimeFormat('en-CA', { timeZone: settings.timeZone }).format(now)
    if (day !== this.#day) [this.#day, this.#today] = [day, 0]
    this.#window = this.#window.filter((at) => now - at < WINDOW_MS)
    this.#searches = this.#searches.filter((at) => now - at < 1_000)
    const max = kind.oauth ? Math.min(OAUTH_PER_TEN_SECONDS, settings.perTenSeconds) : settings.perTenSeconds
    const headers = (): Record<string, string> => this.#headers(settings, kind, max)
    if (!kind.oauth && this.#today >= settings.perDay) return this.#refuse('DAILY', settings, headers())
    if (kind.search && this.#searches.length >= settings.searchesPerSecond) return this.#refuse('SECONDLY', settings, headers())
    if (!kind.search && this.#window.length >= max) return this.#refuse('TEN_SECONDLY_ROLLING', settings, headers())
    this.#today += 1
    if (kind.search) this.#searches.push(now)
    else this.#window.push(now)
    return { headers: headers() }
  }

  #headers(settings: Settings, kind: { readonly oauth: boolean; readonly search: boolean }, max: number): Record<string, string> {
    const daily = {
      'x-hubspot-ratelimit-daily': String(settings.perDay),
      'x-hubspot-ratelimit-daily-remaining': String(Math.max(0, settings.perDay - this.#today)),
    }
    const interval = {
      'x-hubspot-ratelimit-max': String(max),
      'x-hubspot-ratelimit-remaining': String(Math.max(0, max - this.#window.length)),
      'x-hubspot-ratelimit-interval-milliseconds': String(WINDOW_MS),
    }
    return { ...(kind.oauth ? {} : daily), ...(kind.search ? {} : interval) }
  }

  #refuse(policy: Policy, settings: Settings, headers: Readonly<Record<string, string>>): Taken {
    this.#refused += 1
    return { refusal: jsonAnswer(429, rateLimited(policy, settings.rateLimitShape), headers) }
  }
}

/** Body of a 429 in one of the two shapes that were seen. */
function rateLimited(policy: Policy, shape: Settings['rateLimitShape']): Readonly<Record<string, unknown>> {
  const common = { status: 'error', message: `You have reached your ${WORDS[policy]} limit.`, correlationId: randomUUID() }
  return shape === 'category'
    ? { ...common, category: 'RATE_LIMITS' }
    : { ...common, errorType: 'RATE_LIMIT', policyName: policy, requestId: randomUUID() }
}
