import type { BulkLoader } from '../../connectors/contract.ts'
import type { PlanCounts } from '../../state/staging.ts'

/** Which phases are large enough for bulk jobs; decided once, with the plan. Pure. */
export function bulkPhases(
  bulk: Pick<BulkLoader, 'from'> | undefined,
  { added, changed, removed }: Pick<PlanCounts, 'added' | 'changed' | 'removed'>,
): ('upsert' | 'remove')[] {
  if (!bulk) return []
  const phases = [
    { phase: 'upsert', records: added + changed },
    { phase: 'remove', records: removed },
  ] as const
  return phases.filter(({ records }) => records >= bulk.from).map(({ phase }) => phase)
}
