import type { Fault } from '../../connectors/sandbox/faults.ts'

/** One way in which a request can go wrong. */
export interface FaultCase {
  readonly fault: Omit<Fault, 'on' | 'method' | 'path' | 'nth'>
  /** Configuration that goes with it. */
  readonly config?: object
  /** The run may end with one of these codes; the next one goes on. */
  readonly ends?: readonly string[]
  /** Where it makes sense; default everywhere. */
  readonly on?: (destination: { readonly atLeastOnce: boolean }) => boolean
}

const LATE_MS = 2_500
/** The answer comes after the deadline of a second, the effect before the request counts as over. */
const late = { delayMs: LATE_MS }
const over = { lostRequestSeconds: 2 }
const status = (code: number, more: object = {}): FaultCase['fault'] => ({ do: 'status', status: code, ...more })
const json = (body: object): object => ({ headers: { 'content-type': 'application/json' }, body })

/** A 2xx of a receiver that acknowledges nothing by itself is its word (webhook): there nothing may be kept from being applied. */
const readsBack = ({ atLeastOnce }: { readonly atLeastOnce: boolean }): boolean => !atLeastOnce

export const FAULTS: Readonly<Record<string, FaultCase>> = {
  'dropped before it was applied': { fault: { do: 'drop_before' } },
  'answer lost after it was applied': { fault: { do: 'drop_after' } },
  'reset in the middle of the request': { fault: { do: 'reset_mid_request' } },
  'reset in the middle of the answer': { fault: { do: 'reset_mid_body' } },
  'answer cut in half': { fault: { do: 'truncate' } },
  'applied, answered after the deadline': { fault: { do: 'slow', ...late } },
  'applied after the deadline': { fault: { do: 'slow', commit: 'after', ...late }, config: over },
  'HTML 502, not applied': { fault: { do: 'html' } },
  'HTML 502, applied': { fault: { do: 'html', commit: 'before' } },
  'HTML 200, applied': { fault: { do: 'html', status: 200, commit: 'before' } },
  'HTML 200, not applied': { fault: { do: 'html', status: 200 }, on: readsBack },
  'HTML 400 of a proxy': { fault: { do: 'html', status: 400 }, on: readsBack },
  '500, not applied': { fault: status(500) },
  '503, applied': { fault: status(503, { commit: 'before' }) },
  '504, applied': { fault: status(504, { commit: 'before' }) },
  '524, applied': { fault: status(524, { commit: 'before' }) },
  'silent 200, applied': { fault: status(200, { commit: 'before', ...json({}) }) },
  'silent 200, not applied': { fault: status(200, json({})), on: readsBack },
  'every second result left out': { fault: { do: 'partial' } },
  'throttled, Retry-After': { fault: status(429, { headers: { 'retry-after': '1' } }) },
  'a storm of 429': { fault: status(429, { headers: { 'retry-after': '1' }, times: 4 }) },
  'a redirect': { fault: status(302, { headers: { location: '/elsewhere' } }), ends: ['destination'] },
}
