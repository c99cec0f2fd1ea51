import type { BulkResults } from '../../connectors/contract.ts'
import { giveBack, noteSettled } from '../../state/bulk-jobs.ts'
import { outcomeTotals, type ClaimedBatch } from '../../state/ledger.ts'
import { effect } from '../failpoints.ts'
import { unpackLines } from '../plan/batch.ts'
import { endOf } from '../failure.ts'
import { batchPages, sentOf } from './bulk-job.ts'
import type { JobGround } from './bulk-step.ts'
import { recordOf, settleOutcomes } from './deliver-batch.ts'
import type { RangeResult } from './deliver-range.ts'
import { rejectedStop } from './guard-watch.ts'
import { answerById, type FinalOutcome } from './outcomes.ts'

/** Batches of a job that are settled at once. */
const SETTLED_AT_ONCE = 4

/**
 * Settles the batches of a job that has ended by what it answers for each record, then lets the destination forget it. Repeatable:
 * results are fetched again, settled batches stay as they are. What the job did not do is left open and goes batch by batch.
 */
export async function collectJob(ground: JobGround): Promise<Pick<RangeResult, 'stop' | 'totals'>> {
  const { deps, job, bulk, gate } = ground
  if (!job.closing && job.state !== 'done') await effect('job-give-back', () => giveBack(deps.db, job.id))
  let stop: RangeResult['stop'] = null
  if (job.closing && job.state === 'ended') {
    stop = await settleByResults(ground)
    await effect('job-settled', () => noteSettled(deps.db, job.id, 'settled'))
  }
  if (job.remoteId !== null && (job.state === 'ended' || job.state === 'settled')) {
    await bulk.discard(job.remoteId, gate)
    await effect('job-settled', () => noteSettled(deps.db, job.id, 'done'))
  }
  const totals = await outcomeTotals(deps.db, job.run)
  return { totals, stop: stop ?? rejectedStop(ground.definition, totals) }
}

/** Why the run has to end after it. */
async function settleByResults(ground: JobGround): Promise<RangeResult['stop']> {
  const { job, bulk, request, gate } = ground
  if (job.remoteId === null) return null
  const results = await bulk.results(job.remoteId, request, gate)
  for await (const page of batchPages(ground)) {
    const lane = async (): Promise<void> => {
      for (let batch = page.shift(); batch; batch = page.shift()) await settleByResult(ground, results, batch)
    }
    // All of them end before another attempt may begin.
    for (const ended of await Promise.allSettled(Array.from({ length: SETTLED_AT_ONCE }, lane)))
      if (ended.status === 'rejected') throw ended.reason
  }
  return results.hopeless === null ? null : endOf(results.hopeless)
}

async function settleByResult(ground: JobGround, results: BulkResults, batch: ClaimedBatch): Promise<void> {
  const lines = unpackLines(batch.payload)
  const outcomes: FinalOutcome[] = new Array<FinalOutcome>(lines.length).fill(null)
  const sent = await sentOf(ground, batch, lines.length)
  const records = sent.map((index) => recordOf(lines[index] ?? ''))
  const answerOf = answerById(await results.outcomes(records, ground.gate))
  for (const [i, index] of sent.entries()) outcomes[index] = answerOf(records[i]?.id ?? '')
  await settleOutcomes(ground, batch, lines, outcomes, 0)
}
