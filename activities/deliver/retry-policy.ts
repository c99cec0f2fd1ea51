import type { RejectionClass } from '../../connectors/contract.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const GROWING = [15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR]

/**
 * When a refused version may be tried again by itself: the first, second, … try after so many milliseconds, the last for good.
 * Null: it waits for a new version of the row or for a person.
 */
export const RETRY_AFTER_MS: Record<RejectionClass, readonly number[] | null> = {
  invalid: null,
  data: null,
  conflict: GROWING,
  missing: GROWING,
  permission: GROWING,
  locked: [30_000, 2 * MINUTE, 10 * MINUTE, HOUR],
}

const MAX_BACKOFF_MS = 5 * MINUTE

/**
 * Pause of a destination that failed so many times in a row: half a second, doubling, up to 5 minutes; up to a quarter longer by
 * chance, never shorter: one that refuses connections from the start is tried again right after its 60 s, not at twice of that.
 */
export function backoffMs(failures: number, random: number): number {
  const base = Math.min(MAX_BACKOFF_MS, 500 * 2 ** Math.min(failures, 12))
  return Math.round(base * (1 + random / 4))
}
