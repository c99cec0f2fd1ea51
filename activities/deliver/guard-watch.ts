import type { RunDefinition } from '../definition.ts'
import { crossedRejected } from '../plan/guards.ts'

/** Why the run has to end, if so many of its records were refused; else null. Pure. */
export function rejectedStop(
  { spec }: RunDefinition,
  { delivered, skipped, rejected }: { readonly delivered: number; readonly skipped: number; readonly rejected: number },
): { readonly code: string; readonly message: string } | null {
  const message = crossedRejected(spec.guards, { all: delivered + skipped + rejected, rejected })
  return message === null ? null : { code: 'guard', message }
}
