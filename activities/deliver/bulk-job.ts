import { ApplicationFailure, activityInfo } from '@temporalio/activity'
import type { PlannedRecord } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import {
  assignJobs,
  bulkCandidates,
  claimClose,
  claimUpload,
  claimedOf,
  forgetRemote,
  giveBack,
  jobsOf,
  knownJobs,
  noteClosed,
  noteEnded,
  noteOpened,
  noteUploaded,
  openInPhase,
  type JobBatch,
} from '../../state/bulk-jobs.ts'
import type { ClaimedBatch } from '../../state/ledger.ts'
import { loadRun } from '../../state/run-row.ts'
import type { RunDefinition } from '../definition.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'
import { superseded } from '../failure.ts'
import { unpackLines } from '../plan/batch.ts'
import { packJobs } from './bulk-packing.ts'
import { requestOf, type JobGround } from './bulk-step.ts'
import { recordOf, withoutRefusedRenames } from './deliver-batch.ts'

/** Batches read at once, some 1,600 records of 200: 20 of them held the event loop up for 75 ms, 8 for less than 45. */
const BATCHES_A_PAGE = 8

export interface BulkPhase {
  readonly run: string
  readonly phase: 'upsert' | 'remove'
}

/**
 * Divides a phase into bulk jobs, once; called again it gives those that are not done. None: it is not worth a job, everything goes
 * batch by batch.
 */
export async function divideIntoJobs(deps: Deps, { run, phase }: BulkPhase): Promise<{ jobs: number[]; concurrency: number }> {
  const record = await loadRun(deps.db, run)
  if (!record?.definition || record.finished) throw superseded()
  const definition = record.definition as RunDefinition
  const { bulk } = (await deps.connections.destination(definition.destination)).destination
  if (!bulk) return { jobs: [], concurrency: 1 }
  const known = await jobsOf(deps.db, { run, phase })
  if (known.length === 0) {
    const candidates = await bulkCandidates(deps.db, { run, phase })
    if (candidates.reduce((sum, { records }) => sum + records, 0) < bulk.from) return { jobs: [], concurrency: 1 }
    const overheadBytes = bulk.recordOverheadBytes(requestOf(definition, { phase }))
    await effect('job-divide', () => assignJobs(deps.db, { run, phase, jobs: packJobs(candidates, { ...bulk, overheadBytes }) }))
  }
  const jobs = (await jobsOf(deps.db, { run, phase })).filter(({ state }) => state !== 'done')
  return { jobs: jobs.map(({ id }) => id), concurrency: bulk.concurrency }
}

/** Opens the job at the destination. False: it takes no such jobs, the batches go by themselves. */
export async function openJob(ground: JobGround): Promise<boolean> {
  const { deps, job, bulk, request, gate } = ground
  if (job.state === 'done') return false
  if (job.remoteId !== null) return true
  await bulk.sweep(request.object, (ids) => knownJobs(deps.db, ids), gate)
  try {
    const remoteId = await bulk.open(request, job.records, gate)
    if (!(await effect('job-open', () => noteOpened(deps.db, { id: job.id, remoteId })))) throw superseded()
    return true
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind !== 'refused') throw error
    await effect('job-give-back', () => giveBack(deps.db, job.id))
    return false
  }
}

/**
 * Uploads the job's records, once. False: an upload was not acknowledged (this one, or that of a worker that is gone), so that job
 * was aborted, before anything of it took effect, and a new one has to be opened. A refused upload gives the batches back.
 */
export async function uploadJob(ground: JobGround): Promise<boolean> {
  const { deps, job, bulk, request, gate } = ground
  const remoteId = job.remoteId
  if (remoteId === null || job.state === 'planned') return false
  if (job.state === 'uploading') return startAnew(ground, remoteId)
  if (job.state !== 'open') return true
  if (!(await effect('job-claim', () => claimUpload(deps.db, { id: job.id, remoteId })))) throw superseded()
  try {
    await bulk.upload(remoteId, request, () => recordPages(ground), gate)
  } catch (error) {
    if (!(error instanceof ConnectorError) || (error.kind !== 'in_doubt' && error.kind !== 'refused')) throw error
    await startAnew(ground, remoteId)
    if (error.kind === 'refused') await effect('job-give-back', () => giveBack(deps.db, job.id))
    return false
  }
  return (await effect('job-uploaded', () => noteUploaded(deps.db, { id: job.id, remoteId }))) || startAnew(ground, remoteId)
}

async function startAnew({ deps, job, bulk, gate }: JobGround, remoteId: string): Promise<false> {
  await bulk.abort(remoteId, gate)
  if ((await bulk.state(remoteId, gate)).state !== 'ended')
    throw new ConnectorError('in_doubt', 'a bulk job whose upload was not acknowledged is not aborted yet')
  await bulk.discard(remoteId, gate)
  await effect('job-forget', () => forgetRemote(deps.db, { id: job.id, remoteId }))
  return false
}

/** Hands the job over: from here on it takes effect. If an earlier answer was lost, the job says itself whether it was closed. */
export async function closeJob(ground: JobGround): Promise<void> {
  const { deps, job, bulk, gate } = ground
  const remoteId = job.remoteId
  if (remoteId === null || (job.state !== 'uploaded' && job.state !== 'closing')) return
  const step = { id: job.id, remoteId }
  if (job.state === 'uploaded' || (await bulk.state(remoteId, gate)).state === 'open') {
    const claimedAtMs = performance.now()
    if (!(await effect('job-close', () => claimClose(deps.db, step)))) throw superseded()
    gate.guard({ claimedAtMs, renew: () => effect('job-close', () => claimClose(deps.db, step)) })
    await bulk.close(remoteId, gate)
  }
  await effect('job-closed', () => noteClosed(deps.db, step))
}

/** Returns once the job has ended, why if it ended early; until then it fails with when to look again. */
export async function pollJob({ deps, job, bulk, gate }: JobGround): Promise<string | null> {
  const remoteId = job.remoteId
  if (remoteId === null || isOver(job)) return job.error
  const now = await bulk.state(remoteId, gate)
  if (now.state === 'ended') {
    await effect('job-ended', () => noteEnded(deps.db, { id: job.id, remoteId, error: now.error }))
    return now.error
  }
  const processed = now.state === 'running' ? now.processed : 0
  throw ApplicationFailure.create({
    message: `${processed} of ${job.records} records processed`,
    type: 'running',
    nextRetryDelay: pollMs(activityInfo().attempt),
  })
}

/** Stops the job and returns once it has ended. What it wrote before stays and is in its results. */
export async function abortJob(ground: JobGround): Promise<void> {
  const { job, bulk, gate } = ground
  if (job.remoteId === null || isOver(job)) return
  if ((await bulk.state(job.remoteId, gate)).state !== 'ended') await bulk.abort(job.remoteId, gate)
  await pollJob(ground)
}

function isOver({ state }: JobGround['job']): boolean {
  return state === 'ended' || state === 'settled' || state === 'done'
}

/** Batches of the phase that are still open after its jobs. */
export async function leftByJobs(deps: Deps, phase: BulkPhase): Promise<number> {
  return openInPhase(deps.db, phase)
}

/** A second, then longer: half of the time so far, up to a minute (a call of the org's daily ones each). */
export function pollMs(attempt: number): number {
  return Math.min(60_000, Math.round(1_000 * 1.5 ** Math.min(attempt - 1, 20)))
}

/** The job's records as they were frozen, page by page; without old match values that have to stay. */
async function* recordPages(ground: JobGround): AsyncGenerator<PlannedRecord[]> {
  for await (const page of batchPages(ground)) {
    const records: PlannedRecord[] = []
    for (const batch of page) {
      const lines = unpackLines(batch.payload)
      for (const index of await sentOf(ground, batch, lines.length)) records.push(recordOf(lines[index] ?? ''))
    }
    yield records
  }
}

/** Claimed batches of the job that are not settled, page by page, those that belong together one after the other. */
export async function* batchPages({ deps, job, signal }: JobGround): AsyncGenerator<ClaimedBatch[]> {
  let after: JobBatch | null = null
  for (;;) {
    signal.throwIfAborted()
    const page: JobBatch[] = await claimedOf(deps.db, { job: job.id, after, limit: BATCHES_A_PAGE })
    if (page.length > 0) yield [...page]
    if (page.length < BATCHES_A_PAGE) return
    after = page.at(-1) ?? null
  }
}

/** Positions of the records that the job has to carry. */
export async function sentOf(ground: JobGround, batch: ClaimedBatch, size: number): Promise<number[]> {
  const all = Array.from({ length: size }, (_, index) => index)
  return ground.job.phase === 'remove' && batch.ops.includes('x') ? withoutRefusedRenames(ground, batch, all) : all
}
