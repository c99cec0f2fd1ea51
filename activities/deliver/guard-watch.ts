import type { RunDefinition } from '../definition.ts'
import { crossedRejected, LEAST_OUTCOMES } from '../plan/guards.ts'

interface Totals {
  readonly delivered: number
  readonly skipped: number
  readonly rejected: number
}

const allOf = ({ delivered, skipped, rejected }: Totals): number => delivered + skipped + rejected

/** Whether the guard on rejected records has a say yet. Pure. */
export const mayJudge = (totals: Totals): boolean => allOf(totals) >= LEAST_OUTCOMES

/** Why the run has to end, if so many of its records were refused; else null. Pure. */
export function rejectedStop({ spec }: RunDefinition, totals: Totals): { readonly code: string; readonly message: string } | null {
  const message = crossedRejected(spec.guards, { all: allOf(totals), rejected: totals.rejected })
  return message === null ? null : { code: 'guard', message }
}
