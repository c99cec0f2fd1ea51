import type pg from 'pg'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { PlanCounts } from './staging.ts'

export const RUN_STATES = [
  'queued',
  'planning',
  'awaiting_approval',
  'delivering',
  'paused',
  'succeeded',
  'partial',
  'failed',
  'cancelled',
] as const

export type RunState = (typeof RUN_STATES)[number]

export function isEnded(state: RunState): boolean {
  return state === 'succeeded' || state === 'partial' || state === 'failed' || state === 'cancelled'
}

export interface RunCounts extends PlanCounts {
  readonly owed: number
  readonly delivered: number
  readonly skipped: number
  readonly rejected: number
  readonly inDoubt: number
}

/** A run as the state database has it now; counts are sums over its batches. */
export interface RunRow {
  readonly id: string
  readonly sync: string
  readonly slot: 'active' | 'next' | null
  readonly state: RunState
  readonly trigger: string
  readonly full: boolean
  readonly dryRun: boolean
  readonly waiting: { readonly reason: string; readonly until: string | null } | null
  readonly error: { readonly code: string; readonly message: string } | null
  /** How the keys of its plan are made of their columns, such as `int64` or `text,int64`; null before the plan. */
  readonly keyParts: string | null
  readonly temporalRunId: string | null
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly counts: RunCounts
}

const SELECT = `select r.id, r.sync, r.slot, r.state, r.trigger, r.full_plan as "full", r.dry_run as "dryRun", r.waiting, r.error, r.key_parts as "keyParts",
  r.temporal_run_id as "temporalRunId", r.started_at as "startedAt", r.finished_at as "finishedAt", r.created_at::text as "createdAt",
  r.planned, coalesce(r.owed, (select count(*) from rejection x where x.sync = r.sync))::int as owed,
  c.delivered, c.skipped, c.rejected, c.in_doubt as "inDoubt"
from run r left join lateral (
  select coalesce(sum(b.delivered), 0)::int as delivered, coalesce(sum(b.skipped), 0)::int as skipped, coalesce(sum(b.rejected), 0)::int as rejected,
    coalesce(sum(length(replace(b.ops, 'x', ''))) filter (where b.state in ('sending', 'doubt')
      or b.state = 'planned' and b.doubtful and (b.attempt > 0 or b.parent is not null)), 0)::int as in_doubt
  from batch b where b.run = r.id and b.plan = r.plan and b.phase <> 'invalid' and b.state <> 'split' and not r.dry_run
) c on true`

type Selected = Omit<RunRow, 'counts'> &
  Pick<RunCounts, 'owed' | 'delivered' | 'skipped' | 'rejected' | 'inDoubt'> & {
    readonly planned: Partial<PlanCounts> | null
    readonly createdAt: string
  }

function toRow({ planned, owed, delivered, skipped, rejected, inDoubt, ...row }: Selected): RunRow {
  const { read = 0, unchanged = 0, added = 0, changed = 0, removed = 0, retried = 0, invalid = 0 } = planned ?? {}
  const counts = { read, unchanged, added, changed, removed, retried, invalid, owed, delivered, skipped, rejected, inDoubt }
  return { ...row, counts }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Null: there is no such run (any more), or this is no run's id. */
export async function getRun(db: pg.Pool | pg.ClientBase, id: string): Promise<RunRow | null> {
  if (!UUID.test(id)) return null
  const { rows } = await db.query<Selected>(`${SELECT} where r.id = $1`, [id])
  return rows[0] ? toRow(rows[0]) : null
}

/** The run that a sync's next one has to wait for; null: none. */
export async function activeRun(db: pg.Pool, sync: string): Promise<Pick<RunRow, 'id' | 'sync' | 'temporalRunId'> | null> {
  const { rows } = await db.query<Pick<RunRow, 'id' | 'sync' | 'temporalRunId'>>(
    `select id, sync, temporal_run_id as "temporalRunId" from run where sync = $1 and slot = 'active'`,
    [sync],
  )
  return rows[0] ?? null
}

export interface RunQuery {
  readonly sync?: string | undefined
  readonly state?: RunState | undefined
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Newest first. `next` is null on the last page; throws CursorError for a cursor that is not one of ours. */
export async function listRuns(db: pg.Pool, query: RunQuery): Promise<{ data: RunRow[]; next: string | null }> {
  const [createdAt, id] = decodeCursor(query.cursor, [/^\d{4}-\d\d-\d\d [\d:.]+[+-][\d:]+$/, UUID]) ?? [null, null]
  const { rows } = await db.query<Selected>(
    `${SELECT} where ($1::text is null or r.sync = $1) and ($2::text is null or r.state = $2)
       and ($3::timestamptz is null or (r.created_at, r.id) < ($3::timestamptz, $4::uuid))
     order by r.created_at desc, r.id desc limit $5`,
    [query.sync ?? null, query.state ?? null, createdAt, id, query.limit + 1],
  )
  const last = rows.length > query.limit ? rows[query.limit - 1] : undefined
  return { data: rows.slice(0, query.limit).map(toRow), next: last ? encodeCursor([last.createdAt, last.id]) : null }
}

/** How many runs are in each state that is not an end. */
export async function countOpenRuns(db: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await db.query<{ state: string; runs: number }>(
    `select state, count(*) as runs from run where slot is not null group by state`,
  )
  return new Map(rows.map(({ state, runs }) => [state, runs]))
}

export interface RunView {
  readonly id: string
  readonly sync: string
  readonly state: RunState
  readonly trigger: string
  readonly full: boolean
  readonly dryRun: boolean
  readonly counts: RunCounts
  readonly waiting: RunRow['waiting']
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly error: RunRow['error']
  readonly temporal: { readonly workflowId: string; readonly runId: string | null; readonly url: string | null }
}

/** The run as the API shows it. `uiUrl` is the base of links to Temporal's web UI, null where nobody named one. */
export function runView(row: RunRow, { uiUrl, namespace }: { readonly uiUrl: string | null; readonly namespace: string }): RunView {
  const workflowId = `sync/${row.sync}`
  const runId = row.temporalRunId
  const url =
    uiUrl === null || runId === null
      ? null
      : `${uiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`
  const { id, sync, state, trigger, full, dryRun, counts, waiting, error } = row
  return {
    id,
    sync,
    state,
    trigger,
    full,
    dryRun,
    counts,
    waiting,
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
    error,
    temporal: { workflowId, runId, url },
  }
}
