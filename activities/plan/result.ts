import type { PlanCounts } from '../../state/staging.ts'

export interface PlanResult {
  readonly counts: PlanCounts
  readonly upsertBatches: number
  readonly removeBatches: number
  /** Guards that the plan crosses; the run waits for a person if there are any. */
  readonly holds: readonly string[]
  readonly full: boolean
}
