import type pg from 'pg'
import { CLAIMED_COLUMNS, type ClaimedBatch } from './ledger.ts'

// Bulk jobs and their batches. As in the ledger, every change is one statement that names what it expects and the fence.

export type BulkJobState = 'planned' | 'open' | 'uploading' | 'uploaded' | 'closing' | 'running' | 'ended' | 'settled' | 'done'

export interface BulkJobRow {
  readonly id: number
  readonly run: string
  readonly phase: 'upsert' | 'remove'
  readonly records: number
  readonly remoteId: string | null
  readonly state: BulkJobState
  /** It was closed, or may have been: it may take effect. */
  readonly closing: boolean
  readonly error: string | null
}

/** True in a statement whose job is `j`: its run is the sync's active run. */
const ACTIVE_JOB = `exists (select 1 from run r join sync_state s on s.sync = r.sync
  where r.id = j.run and s.active_run = r.id and r.finished_at is null and not r.dry_run)`

export interface Candidate {
  readonly id: number
  readonly records: number
  /** Of its frozen lines, as JSON. */
  readonly bytes: number
}

/** Batches of a phase that no attempt has touched and that need no look first, those that belong together one after the other. */
export async function bulkCandidates(db: pg.Pool, { run, phase }: { run: string; phase: 'upsert' | 'remove' }): Promise<Candidate[]> {
  // A gzip ends with the size of what is in it, little-endian.
  const { rows } = await db.query<Candidate>(
    `select b.id, b.size as records, get_byte(tail, 0) + get_byte(tail, 1) * 256::bigint + get_byte(tail, 2) * 65536::bigint
       + get_byte(tail, 3) * 16777216::bigint as bytes
     from batch b join run r on r.id = b.run and r.plan = b.plan, substring(b.payload from length(b.payload) - 3) as tail
     where b.run = $1 and b.phase = $2 and b.state = 'planned' and b.attempt = 0 and not b.doubtful and b.job is null
     order by coalesce(b.affinity, 0), b.seq, b.id`,
    [run, phase],
  )
  return rows
}

/** Writes down which batches go by which job. The first caller for a phase of a run wins; a later one changes nothing. */
export async function assignJobs(
  db: pg.Pool,
  { run, phase, jobs }: { run: string; phase: 'upsert' | 'remove'; jobs: readonly (readonly Candidate[])[] },
): Promise<void> {
  const members = jobs.flatMap((batches, nr) => batches.map(({ id }) => ({ nr, id })))
  await db.query(
    `with j as (
       insert into bulk_job as j (run, phase, nr, records)
       select r.id, $2, n.nr, n.records from run r join sync_state s on s.sync = r.sync and s.active_run = r.id,
         unnest($3::int[], $4::int[]) as n (nr, records)
       where r.id = $1 and r.finished_at is null and not r.dry_run
       on conflict do nothing returning j.id, j.nr
     )
     update batch b set job = j.id from j, unnest($5::int[], $6::bigint[]) as m (nr, batch)
     where m.nr = j.nr and b.id = m.batch and b.job is null and b.state = 'planned'`,
    [
      run,
      phase,
      jobs.map((_, nr) => nr),
      jobs.map((batches) => batches.reduce((sum, { records }) => sum + records, 0)),
      members.map(({ nr }) => nr),
      members.map(({ id }) => id),
    ],
  )
}

const JOB = `j.id, j.run, j.phase, j.records, j.remote_id as "remoteId", j.state, j.closing_at is not null as closing, j.error`

/** Jobs of a phase of a run, done ones too, in order. */
export async function jobsOf(db: pg.Pool, { run, phase }: { run: string; phase: 'upsert' | 'remove' }): Promise<BulkJobRow[]> {
  const { rows } = await db.query<BulkJobRow>(`select ${JOB} from bulk_job j where j.run = $1 and j.phase = $2 order by j.nr`, [run, phase])
  return rows
}

export async function loadJob(db: pg.Pool, id: number): Promise<BulkJobRow | null> {
  const { rows } = await db.query<BulkJobRow>(`select ${JOB} from bulk_job j where j.id = $1`, [id])
  return rows[0] ?? null
}

/** Jobs of older runs of a sync that may be under way at the destination. */
export async function jobsLeftBehind(db: pg.Pool, { run, sync }: { run: string; sync: string }): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>(
    `select j.id from bulk_job j join run r on r.id = j.run
     where r.sync = $2 and r.id <> $1 and j.remote_id is not null and j.state not in ('ended', 'settled', 'done') order by j.id`,
    [run, sync],
  )
  return rows.map(({ id }) => id)
}

/** Whether the destination ever answered a job of this run. */
export async function anyJobOpened(db: pg.Pool, run: string): Promise<boolean> {
  const { rows } = await db.query(`select 1 from bulk_job where run = $1 and remote_id is not null limit 1`, [run])
  return rows.length > 0
}

/** Which of the destination's job ids some ledger row names. */
export async function knownJobs(db: pg.Pool, remoteIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ remote_id: string }>('select remote_id from bulk_job where remote_id = any($1::text[])', [remoteIds])
  return new Set(rows.map((row) => row.remote_id))
}

type Step = { readonly id: number; readonly remoteId: string }

/** The destination's id, written down before anything is uploaded to it. False: another one is there, or the job is not ours any more. */
export async function noteOpened(db: pg.Pool, { id, remoteId }: Step): Promise<boolean> {
  const { rowCount } = await db.query(
    `update bulk_job j set state = 'open', remote_id = $2 where j.id = $1 and j.state = 'planned' and j.remote_id is null and ${ACTIVE_JOB}`,
    [id, remoteId],
  )
  return rowCount === 1
}

/** Claims the job's batches, all or none, before its one upload (invariant 1). False: it is not ours any more. */
export async function claimUpload(db: pg.Pool, { id, remoteId }: Step): Promise<boolean> {
  const { rows } = await db.query(
    `with j as (
       update bulk_job j set state = 'uploading' where j.id = $1 and j.remote_id = $2 and j.state = 'open' and ${ACTIVE_JOB} returning j.id
     ), claimed as (
       update batch b set state = 'sending', attempt = b.attempt + 1, sent_at = clock_timestamp(), not_before = null
       from j where b.job = j.id and b.state = 'planned'
     )
     select 1 from j`,
    [id, remoteId],
  )
  return rows.length === 1
}

export async function noteUploaded(db: pg.Pool, { id, remoteId }: Step): Promise<boolean> {
  const { rowCount } = await db.query(
    `update bulk_job j set state = 'uploaded' where j.id = $1 and j.remote_id = $2 and j.state = 'uploading' and ${ACTIVE_JOB}`,
    [id, remoteId],
  )
  return rowCount === 1
}

/** The destination's job was aborted before it was closed: nothing of it took effect, its batches are as before, it needs a new one. */
export async function forgetRemote(db: pg.Pool, { id, remoteId }: Step): Promise<void> {
  await db.query(
    `with j as (
       update bulk_job j set state = 'planned', remote_id = null
       where j.id = $1 and j.remote_id = $2 and j.closing_at is null and ${ACTIVE_JOB} returning j.id
     )
     update batch b set state = 'planned' from j where b.job = j.id and b.state = 'sending'`,
    [id, remoteId],
  )
}

/** Writes down that the job is about to take effect: from here on its batches are in doubt until it has ended. */
export async function claimClose(db: pg.Pool, { id, remoteId }: Step): Promise<boolean> {
  const { rows } = await db.query(
    `with j as (
       update bulk_job j set state = 'closing', closing_at = clock_timestamp()
       where j.id = $1 and j.remote_id = $2 and j.state in ('uploaded', 'closing') and ${ACTIVE_JOB} returning j.id
     ), renewed as (
       update batch b set sent_at = clock_timestamp() from j where b.job = j.id and b.state = 'sending'
     )
     select 1 from j`,
    [id, remoteId],
  )
  return rows.length === 1
}

export async function noteClosed(db: pg.Pool, { id, remoteId }: Step): Promise<void> {
  await db.query(`update bulk_job set state = 'running' where id = $1 and remote_id = $2 and state = 'closing'`, [id, remoteId])
}

/** It cannot take effect any more. True of a job whatever run it belongs to. */
export async function noteEnded(db: pg.Pool, { id, remoteId, error }: Step & { readonly error: string | null }): Promise<void> {
  await db.query(
    `update bulk_job set state = 'ended', error = $3 where id = $1 and remote_id = $2 and state not in ('ended', 'settled', 'done')`,
    [id, remoteId, error],
  )
}

/** Nothing of the job took effect: its batches go by themselves. */
export async function giveBack(db: pg.Pool, id: number): Promise<void> {
  await db.query(
    `with j as (
       update bulk_job j set state = 'done' where j.id = $1 and j.closing_at is null and ${ACTIVE_JOB} returning j.id
     )
     update batch b set state = 'planned', job = null from j where b.job = j.id and b.state in ('planned', 'sending')`,
    [id],
  )
}

export async function noteSettled(db: pg.Pool, id: number, state: 'settled' | 'done'): Promise<void> {
  await db.query(`update bulk_job set state = $2 where id = $1`, [id, state])
}

/** A claimed batch and its place among those of its job. */
export interface JobBatch extends ClaimedBatch {
  readonly affinity: number
  readonly seq: number
}

/** Claimed batches of a job after `after` (null: from the start), at most `limit`, those that belong together one after the other. */
export async function claimedOf(
  db: pg.Pool,
  { job, after, limit }: { job: number; after: Pick<JobBatch, 'affinity' | 'seq' | 'id'> | null; limit: number },
): Promise<JobBatch[]> {
  const { rows } = await db.query<JobBatch>(
    `select ${CLAIMED_COLUMNS}, coalesce(b.affinity, 0) as affinity, b.seq
     from batch b
     where b.job = $1 and b.state = 'sending' and (coalesce(b.affinity, 0), b.seq, b.id) > ($2::int, $3::int, $4::bigint)
     order by coalesce(b.affinity, 0), b.seq, b.id limit $5`,
    [job, after?.affinity ?? -1, after?.seq ?? 0, after?.id ?? 0, limit],
  )
  return rows
}

/** Batches of a phase that are still open, whoever has to deliver them. */
export async function openInPhase(db: pg.Pool, { run, phase }: { run: string; phase: 'upsert' | 'remove' }): Promise<number> {
  const { rows } = await db.query<{ open: number }>(
    `select count(*) as open from batch b join run r on r.id = b.run and r.plan = b.plan
     where b.run = $1 and b.phase = $2 and b.state in ('planned', 'sending')`,
    [run, phase],
  )
  return rows[0]?.open ?? 0
}
