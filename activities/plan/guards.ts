import type { SyncSpec } from '../../state/spec.ts'

type Guards = NonNullable<SyncSpec['guards']>

const DEFAULT_MAX_REMOVED = '20%'
const LEAST_REMOVED = 10

/** Which guards a plan crosses, as sentences with counts and no row values; empty: go on. Pure. */
export function crossedGuards(
  guards: Guards | undefined,
  plan: { readonly read: number; readonly baseline: number; readonly added: number; readonly changed: number; readonly removed: number },
): string[] {
  const crossed: string[] = []
  if ((guards?.emptyModel ?? 'hold') === 'hold' && plan.read === 0 && plan.baseline > 0) {
    crossed.push(`emptyModel: the model has no rows, the baseline has ${plan.baseline}`)
  }
  const maxRemoved = guards?.maxRemoved ?? DEFAULT_MAX_REMOVED
  const removedLimit = typeof maxRemoved === 'number' ? maxRemoved : Math.max(LEAST_REMOVED, share(maxRemoved, plan.baseline))
  if (plan.removed > removedLimit)
    crossed.push(`maxRemoved: ${plan.removed} of ${plan.baseline} records would be removed, the limit is ${maxRemoved}`)
  if (guards?.maxChanged !== undefined) {
    const moved = plan.added + plan.changed
    const limit = typeof guards.maxChanged === 'number' ? guards.maxChanged : share(guards.maxChanged, plan.read)
    if (moved > limit) crossed.push(`maxChanged: ${moved} of ${plan.read} rows would be sent, the limit is ${guards.maxChanged}`)
  }
  return crossed
}

const DEFAULT_MAX_REJECTED = '50%'
export const LEAST_OUTCOMES = 100

/** Why so many refusals end the run, or null. From the hundredth outcome on. Pure. */
export function crossedRejected(guards: Guards | undefined, outcomes: { readonly all: number; readonly rejected: number }): string | null {
  if (outcomes.all < LEAST_OUTCOMES) return null
  const limit = guards?.maxRejected ?? DEFAULT_MAX_REJECTED
  const allowed = typeof limit === 'number' ? limit : share(limit, outcomes.all)
  if (outcomes.rejected <= allowed) return null
  return `maxRejected: ${outcomes.rejected} of ${outcomes.all} records were rejected, the limit is ${limit}`
}

/** Milliseconds of `90s`, `15m`, `24h`, `7d`. */
export function durationMs(text: string): number {
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[text.slice(-1)] ?? 1_000
  return Number(text.slice(0, -1)) * unit
}

/** Multiplied first: 0.29 × 100 is less than 29. */
function share(percent: string, whole: number): number {
  return (Number(percent.slice(0, -1)) * whole) / 100
}
