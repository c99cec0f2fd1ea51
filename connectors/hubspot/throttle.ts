import { retryAfterMs } from '../http-errors.ts'
import { LOCKED_WAIT_MS, LONGEST_WAIT_MS, MIGRATION_WAIT_MS, QUOTA_SHARE, SECONDLY_WAIT_MS, TEN_SECONDLY_WAIT_MS } from './limits.ts'
import { textAt, type JsonObject } from '../json-object.ts'

type Headers = Readonly<Record<string, string>>

/** How long to wait: milliseconds, or until the account's day ends. */
export type Pause = { readonly ms: number; readonly why: string } | { readonly daily: true }

/**
 * Reads 423, 429 and 477, none of which HubSpot applied; null for any other status. 429 comes in two shapes: `policyName` besides
 * `errorType: RATE_LIMIT`, or only a message besides `category: RATE_LIMITS`. A Retry-After, which HubSpot documents for 477 only
 * but a proxy may add, wins over the rule.
 */
export function pauseOf(status: number, headers: Headers, body: JsonObject | null, now: number): Pause | null {
  const asked = retryAfterMs(headers['retry-after'], now)
  if (status === 423) return { ms: Math.max(asked ?? 0, LOCKED_WAIT_MS), why: 'the records are locked' }
  if (status === 477) return { ms: Math.min(asked ?? MIGRATION_WAIT_MS, LONGEST_WAIT_MS), why: 'the account is being migrated' }
  if (status !== 429) return null
  const policy = `${textAt(body, 'policyName') ?? ''} ${textAt(body, 'message') ?? ''}`
  if (/ten_?secondly/i.test(policy)) return { ms: asked ?? TEN_SECONDLY_WAIT_MS, why: 'the limit of ten seconds is used up' }
  if (/daily/i.test(policy)) return { daily: true }
  if (/secondly/i.test(policy)) return { ms: asked ?? SECONDLY_WAIT_MS, why: 'the limit of one second is used up' }
  return { ms: asked ?? TEN_SECONDLY_WAIT_MS, why: 'a limit is used up' }
}

/**
 * Milliseconds until the daily limit starts anew: midnight in the account's time zone (IANA name). Where the zone is not known it
 * is the next full hour, because it may be midnight there; never less than a second.
 */
export function untilReset(now: number, timeZone: string | null): number {
  const parts = timeZone === null ? null : clockIn(timeZone, now)
  const intoHour = now % 3_600_000
  const left = parts === null ? 3_600_000 - intoHour : 86_400_000 - parts
  return Math.max(left, 1_000)
}

/** Milliseconds since midnight on the zone's clock; null for a name that is no zone. On a day of clock change it is off by that change. */
function clockIn(timeZone: string, now: number): number | null {
  try {
    const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
    const [hour = 0, minute = 0, second = 0] = format.format(now).split(':').map(Number)
    return ((hour * 60 + minute) * 60 + second) * 1_000 + (now % 1_000)
  } catch {
    return null
  }
}

/** Requests a second that the headers grant us; null where they say nothing (search answers, edge failures). */
export function grantedRate(headers: Headers): number | null {
  const max = Number(headers['x-hubspot-ratelimit-max'])
  const interval = Number(headers['x-hubspot-ratelimit-interval-milliseconds'])
  return max > 0 && interval > 0 ? (max / interval) * 1_000 * QUOTA_SHARE : null
}
