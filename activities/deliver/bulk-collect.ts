import { giveBack, noteSettled } from '../../state/bulk-jobs.ts'
import { outcomeTotals } from '../../state/ledger.ts'
import { effect } from '../failpoints.ts'
import { unpackLines } from '../plan/batch.ts'
import { batchPages, sentOf } from './bulk-job.ts'
import type { JobGround } from './bulk-step.ts'
import { recordOf, settleOutcomes } from './deliver-batch.ts'
import type { RangeResult } from './deliver-range.ts'
import { rejectedStop } from './guard-watch.ts'
import type { FinalOutcome } from './outcomes.ts'

/**
 * Settles the batches of a job that has ended by what it answers for each record, then lets the destination forget it. Repeatable:
 * results are fetched again, settled batches stay as they are. What the job did not do is left open and goes batch by batch.
 */
export async function collectJob(ground: JobGround): Promise<Pick<RangeResult, 'stop' | 'totals'>> {
  const { deps, job, bulk, gate } = ground
  if (!job.closing && job.state !== 'done') await effect('job-give-back', () => giveBack(deps.db, job.id))
  if (job.closing && job.state === 'ended') {
    await settleByResults(ground)
    await effect('job-settled', () => noteSettled(deps.db, job.id, 'settled'))
  }
  if (job.remoteId !== null && (job.state === 'ended' || job.state === 'settled')) {
    await bulk.discard(job.remoteId, gate)
    await effect('job-settled', () => noteSettled(deps.db, job.id, 'done'))
  }
  const totals = await outcomeTotals(deps.db, job.run)
  return { totals, stop: rejectedStop(ground.definition, totals) }
}

async function settleByResults(ground: JobGround): Promise<void> {
  const { job, bulk, request, gate } = ground
  if (job.remoteId === null) return
  const results = await bulk.results(job.remoteId, request, gate)
  for await (const page of batchPages(ground)) {
    for (const batch of page) {
      const lines = unpackLines(batch.payload)
      const outcomes: FinalOutcome[] = new Array<FinalOutcome>(lines.length).fill(null)
      const sent = await sentOf(ground, batch, lines.length)
      const records = sent.map((index) => recordOf(lines[index] ?? ''))
      const answered = new Map((await results.outcomes(records, gate)).map((outcome) => [outcome.id, outcome]))
      // Silence is never success (invariant 8).
      for (const [i, index] of sent.entries()) {
        const id = records[i]?.id ?? ''
        outcomes[index] = answered.get(id) ?? { id, status: 'in_doubt' }
      }
      await settleOutcomes(ground, batch, lines, outcomes, 0)
    }
  }
}
