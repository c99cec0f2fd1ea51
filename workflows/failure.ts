import { ActivityFailure, ApplicationFailure, ContinueAsNew, TimeoutFailure } from '@temporalio/workflow'

export interface RunError {
  readonly code: string
  readonly message: string
}

/** What a failure means for the run; null: it is no failure of the run (continue-as-new). */
export function failureOf(error: unknown): RunError | null {
  if (error instanceof ContinueAsNew) return null
  const cause = error instanceof ActivityFailure ? error.cause : error
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'internal', message: cause.message }
  if (cause instanceof TimeoutFailure) return { code: 'internal', message: 'a step took longer than it may' }
  return { code: 'internal', message: error instanceof Error ? error.message : 'unknown error' }
}
