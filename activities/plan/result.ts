import type { PlanCounts } from '../../state/staging.ts'

export interface PlanResult {
  readonly counts: PlanCounts
  readonly upsertBatches: number
  readonly removeBatches: number
  /** Guards that the plan crosses; the run waits for a person if there are any. */
  readonly holds: readonly string[]
  readonly full: boolean
  /** Phases that go by bulk jobs of the destination first; what jobs leave over goes batch by batch. Absent: none. */
  readonly bulk?: readonly ('upsert' | 'remove')[]
}
