import type pg from 'pg'
import { noticesOf } from './notices.ts'

export interface RunRecord {
  readonly id: string
  readonly sync: string
  readonly state: string
  readonly trigger: string
  readonly full: boolean
  readonly verify: boolean
  readonly dryRun: boolean
  readonly adopt: boolean
  readonly definition: unknown
  readonly generation: number | null
  readonly plan: string | null
  readonly planned: unknown
  /** The warehouse's query, where it outlives the process that asked it; the connector's own text. */
  readonly query: string | null
  readonly upsertBatches: number | null
  readonly removeBatches: number | null
  readonly finished: boolean
  /** Seconds since it began; null: it has not. */
  readonly ageSeconds: number | null
  /** The database's clock at this very look. */
  readonly lookedAt: Date
}

export async function loadRun(db: pg.Pool, id: string): Promise<RunRecord | null> {
  const { rows } = await db.query<RunRecord>(
    `select id, sync, state, trigger, full_plan as "full", verify, dry_run as "dryRun", adopt, definition, generation, plan, planned, source_query as query,
       upsert_batches as "upsertBatches", remove_batches as "removeBatches", finished_at is not null as finished,
       extract(epoch from clock_timestamp() - started_at)::float8 as "ageSeconds", clock_timestamp() as "lookedAt"
     from run where id = $1`,
    [id],
  )
  return rows[0] ?? null
}

/** Written down before and after the warehouse is asked; null forgets it. An ended run keeps none. */
export async function keepQuery(db: pg.Pool, run: string, query: string | null): Promise<void> {
  await db.query('update run set source_query = $2 where id = $1 and finished_at is null', [run, query])
}

/** What prepare decided. False: the run is not the sync's active run. */
export async function freezeDefinition(db: pg.Pool, run: string, definition: unknown, full: boolean): Promise<boolean> {
  const { rowCount } = await db.query(
    `update run r set definition = $2, full_plan = r.full_plan or $3 from sync_state s
     where r.id = $1 and s.sync = r.sync and s.active_run = r.id and r.finished_at is null`,
    [run, JSON.stringify(definition), full],
  )
  return rowCount === 1
}

/** The state that users see; waiting says for what and until when. Ended runs stay as they are. Listeners are told. */
export async function setRunState(
  db: pg.Pool,
  run: string,
  state: string | null,
  waiting: { reason: string; until: string | null } | null,
): Promise<void> {
  await db.query(
    `with r as (update run set state = coalesce($2, state), waiting = $3 where id = $1 and finished_at is null returning id, sync, state, waiting),
     parked as (
       select id, sync, state as condition, jsonb_build_object('state', state, 'waiting', waiting) as detail
       from (select id, sync, 'parked' as state, waiting from r where state = 'awaiting_approval') p
     ), ${noticesOf('parked')}
     select pg_notify('tailrace_run', id::text), told.n from r, told`,
    [run, state, waiting === null ? null : JSON.stringify(waiting)],
  )
}

export interface RunEnd {
  readonly run: string
  readonly sync: string
  readonly outcome: 'done' | 'failed' | 'cancelled'
  readonly error: { code: string; message: string } | null
  readonly waiting: { reason: string; until: string | null } | null
  readonly mappingId: string | null
}

/**
 * Ends a run: state, owed and the fence move together, so that from here on nothing of it has an effect. `done` becomes
 * `succeeded` when nothing is owed and `partial` otherwise. A changed condition of the sync is noticed in the same statement. Repeatable: an ended run keeps its end. Gives the state it ended in.
 */
export async function endRun(db: pg.Pool | pg.ClientBase, end: RunEnd): Promise<string | null> {
  const { rows } = await db.query<{ state: string }>(
    `with owed as (select count(*) as n from rejection where sync = $2),
     ended as (
       update run r set slot = null, finished_at = clock_timestamp(), error = $4, waiting = $5, owed = owed.n,
         started_at = coalesce(r.started_at, clock_timestamp()),
         state = case when $3 <> 'done' then $3 when r.dry_run or owed.n = 0 then 'succeeded' else 'partial' end
       from owed where r.id = $1 and r.finished_at is null returning r.id, r.sync, r.state, r.dry_run, r.plan_began_at, r.error, r.owed
     ),
     fence as (
       update sync_state s set active_run = null,
         fresh_at = case when ended.state = 'succeeded' and not ended.dry_run then coalesce(ended.plan_began_at, s.fresh_at) else s.fresh_at end,
         mapping_id = case when $3 = 'done' and not ended.dry_run then coalesce($6, s.mapping_id) else s.mapping_id end,
         compacted_seq = case when s.compacted_seq = 0 then coalesce((select max(seq) from baseline_segment b where b.sync = $2 and b.generation = s.generation), 0) else s.compacted_seq end
       from ended where s.sync = $2 and s.active_run = ended.id
     ),
     heard as (select pg_notify('tailrace_run', id::text), pg_notify('tailrace_ended', $2) from ended),
     standing as (
       select id, sync, case state when 'succeeded' then 'ok' else state end as condition,
         jsonb_build_object('state', state, 'error', error, 'owed', owed) as detail
       from ended where not dry_run and state <> 'cancelled'
     ), ${noticesOf('standing')}
     select coalesce((select state from ended), (select state from run where id = $1)) as state, (select count(*) from heard) as heard, told.n from told`,
    [
      end.run,
      end.sync,
      end.outcome,
      end.error === null ? null : JSON.stringify(end.error),
      end.waiting === null ? null : JSON.stringify(end.waiting),
      end.mappingId,
    ],
  )
  return rows[0]?.state ?? null
}

export interface SyncState {
  /** The mapping that the last finished run delivered; null before the first. */
  readonly mappingId: string | null
  /** Who the baseline's records are; null before the first plan. */
  readonly baselineId: string | null
  readonly generation: number
  readonly compactedSeq: number
}

/** Null: the sync never ran. */
export async function syncState(db: pg.Pool, sync: string): Promise<SyncState | null> {
  const { rows } = await db.query<SyncState>(
    `select mapping_id as "mappingId", baseline_id as "baselineId", generation, compacted_seq as "compactedSeq" from sync_state where sync = $1`,
    [sync],
  )
  return rows[0] ?? null
}

/**
 * A run whose workflow is yet to be started, with the span of its caller. Null: somebody else started it; API, launcher and
 * reconcile loop may all try, and a short run may be over by now.
 */
export async function unbegunRun(db: pg.Pool, run: string): Promise<{ traceparent: string | null } | null> {
  const { rows } = await db.query<{ traceparent: string | null }>(
    'select traceparent from run where id = $1 and temporal_run_id is null and finished_at is null',
    [run],
  )
  return rows[0] ?? null
}

/** The first execution's id is the run's; the workflow notes it as well, in case this answer was lost. */
export async function noteStarted(db: pg.Pool, run: string, temporalRunId: string): Promise<void> {
  await db.query('update run set temporal_run_id = coalesce(temporal_run_id, $2) where id = $1', [run, temporalRunId])
}

/** Active runs whose workflow was started. */
export async function startedRuns(db: pg.Pool): Promise<{ id: string; sync: string; temporalRunId: string }[]> {
  const { rows } = await db.query<{ id: string; sync: string; temporalRunId: string }>(
    `select id, sync, temporal_run_id as "temporalRunId" from run where slot = 'active' and temporal_run_id is not null and finished_at is null`,
  )
  return rows
}

/** Active runs whose workflow nobody started yet. */
export async function unstartedRuns(db: pg.Pool): Promise<{ id: string; sync: string }[]> {
  const { rows } = await db.query<{ id: string; sync: string }>(
    `select id, sync from run where slot = 'active' and temporal_run_id is null and finished_at is null`,
  )
  return rows
}

/** Syncs with a run that waits for the active one to end. */
export async function waitingSyncs(db: pg.Pool): Promise<string[]> {
  const { rows } = await db.query<{ sync: string }>(`select sync from run where slot = 'next'`)
  return rows.map(({ sync }) => sync)
}
