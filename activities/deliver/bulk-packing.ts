import type { Candidate } from '../../state/bulk-jobs.ts'

/** Limits of one job; `overheadBytes`: at most so many bytes more than its frozen line does a record take in an upload. */
export interface PackingLimits {
  readonly maxRecords: number
  readonly maxBytes: number
  readonly overheadBytes: number
}

/**
 * Batches, in their order, as jobs within the limits; as even as they come, so that the last job is no straggler. A batch that
 * alone is above a limit makes a job of its own. Pure.
 */
export function packJobs(batches: readonly Candidate[], limits: PackingLimits): Candidate[][] {
  const weight = ({ records, bytes }: Candidate): number =>
    Math.max(records / limits.maxRecords, (bytes + records * limits.overheadBytes) / limits.maxBytes)
  const whole = batches.reduce((sum, batch) => sum + weight(batch), 0)
  const share = whole / Math.max(1, Math.ceil(whole))
  const jobs: Candidate[][] = []
  let filled = Infinity
  for (const batch of batches) {
    const more = weight(batch)
    if (filled + more > 1 || filled >= share) {
      jobs.push([])
      filled = 0
    }
    jobs.at(-1)?.push(batch)
    filled += more
  }
  return jobs
}
