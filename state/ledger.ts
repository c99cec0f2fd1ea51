import type pg from 'pg'
import { ACTIVE_RUN } from './fence.ts'

// The ledger: every change of a batch's state is one statement that names the batch, its attempt and the fence (the run is the sync's
// active run). A statement that finds no such batch changes nothing and says so; that makes late and doubled workers harmless.

/** A batch that still has to be delivered, without its bytes. */
export interface OpenBatch {
  readonly id: number
  readonly state: 'planned' | 'sending'
  readonly attempt: number
  readonly doubtful: boolean
  readonly phase: 'upsert' | 'remove'
  readonly size: number
  /** Milliseconds until it may be claimed, by the database's clock; 0 or less: now. */
  readonly waitMs: number
  /** Milliseconds since it was last claimed; null: never. */
  readonly sentAgoMs: number | null
  /** Claimed by somebody who neither settled it nor gave it back: the request may still be under way. */
  readonly abandoned: boolean
}

export interface ClaimedBatch {
  readonly id: number
  readonly attempt: number
  readonly run: string
  readonly ops: string
  readonly plannedAt: Date
  readonly payload: Buffer
  readonly entries: Buffer
  readonly onBooks: boolean
  /** An earlier attempt may have been applied. */
  readonly doubtful: boolean
}

/** An `OpenBatch` of a batch `b`. */
const OPEN_COLUMNS = `b.id, b.state, b.attempt, b.doubtful, b.phase, b.size,
  coalesce(extract(epoch from b.not_before - clock_timestamp()) * 1000, 0)::float8 as "waitMs",
  (extract(epoch from clock_timestamp() - b.sent_at) * 1000)::float8 as "sentAgoMs",
  b.state = 'sending' and b.not_before is null as abandoned`

/** A `ClaimedBatch` of a batch `b`. */
export const CLAIMED_COLUMNS = `b.id, b.attempt, b.run, b.ops, b.planned_at as "plannedAt", b.payload, b.entries, b.on_books as "onBooks", b.doubtful`

/** Batches of a run's published plan within a range of seq that are not settled, in order; without those of a bulk job. */
export async function openBatches(
  db: pg.Pool,
  { run, phase, fromSeq, toSeq }: { run: string; phase: 'upsert' | 'remove'; fromSeq: number; toSeq: number },
): Promise<OpenBatch[]> {
  const { rows } = await db.query<OpenBatch>(
    `select ${OPEN_COLUMNS} from batch b join run r on r.id = b.run and r.plan = b.plan
     where b.run = $1 and b.seq between $2 and $3 and b.state in ('planned', 'sending') and b.phase = $4 and b.job is null
     order by b.seq, b.id`,
    [run, fromSeq, toSeq, phase],
  )
  return rows
}

/** Batches of older runs that this run has to send again verbatim before it plans. */
export async function inheritedBatches(db: pg.Pool, run: string): Promise<OpenBatch[]> {
  const { rows } = await db.query<OpenBatch>(
    `select ${OPEN_COLUMNS} from batch b where b.heir = $1 and b.state in ('planned', 'sending') order by b.id`,
    [run],
  )
  return rows
}

/**
 * Writes down that a batch is about to be sent (invariant 1); one that an earlier attempt left claimed is in doubt from here on,
 * however this one ends. Null: somebody else has it, the run is not the active one, or the account is paused.
 */
export async function claimBatch(db: pg.Pool, batch: { id: number; attempt: number }, account: string): Promise<ClaimedBatch | null> {
  const { rows } = await db.query<ClaimedBatch>({
    // Named, so that a connection parses and plans it once: median 5.5 -> 3.1 ms, delivery of a first load 9 % faster.
    name: 'claim_batch',
    text: `update batch b set state = 'sending', attempt = b.attempt + 1, sent_at = clock_timestamp(), not_before = null,
       doubtful = b.doubtful or b.state = 'sending'
     where b.id = $1 and b.attempt = $2 and b.state in ('planned', 'sending') and ${ACTIVE_RUN}
       and not exists (select 1 from account_budget a where a.account = $3 and a.paused_until > clock_timestamp())
     returning ${CLAIMED_COLUMNS}`,
    values: [batch.id, batch.attempt, account],
  })
  return rows[0] ?? null
}

/**
 * Gives a claimed batch back, not settled; it belongs to no bulk job any more. `applied: 'no'`: nothing of it took effect, it is as before the claim.
 * `unknown`: it is in doubt and is read back before it is sent again, not before `waitMs` have passed.
 */
export async function releaseBatch(
  db: pg.Pool,
  batch: { id: number; attempt: number },
  how: { applied: 'no' | 'unknown'; waitMs: number },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update batch b set state = case when $3 then 'sending' else 'planned' end, doubtful = b.doubtful or $3,
       not_before = clock_timestamp() + $4 * interval '1 millisecond', job = null
     where b.id = $1 and b.attempt = $2 and b.state = 'sending' and ${ACTIVE_RUN}`,
    [batch.id, batch.attempt, how.applied === 'unknown', how.waitMs],
  )
  return rowCount === 1
}

/** Whether the run is still the sync's active run. */
export async function isActive(db: pg.Pool, run: string): Promise<boolean> {
  const { rows } = await db.query(
    'select 1 from sync_state s join run r on r.sync = s.sync where s.active_run = $1 and r.id = $1 and r.finished_at is null',
    [run],
  )
  return rows.length === 1
}

/** Outcomes of a run so far. */
export async function outcomeTotals(db: pg.Pool, run: string): Promise<{ delivered: number; skipped: number; rejected: number }> {
  const { rows } = await db.query<{ delivered: number; skipped: number; rejected: number }>(
    `select coalesce(sum(b.delivered), 0) as delivered, coalesce(sum(b.skipped), 0) as skipped, coalesce(sum(b.rejected), 0) as rejected
     from batch b join run r on r.id = b.run and r.plan = b.plan where b.run = $1 and b.state = 'settled'`,
    [run],
  )
  return rows[0] ?? { delivered: 0, skipped: 0, rejected: 0 }
}

/** Writes down that a further request of a claimed batch is about to leave. False: the claim is not ours any more. */
export async function renewClaim(db: pg.Pool, batch: { id: number; attempt: number }): Promise<boolean> {
  const { rowCount } = await db.query(
    `update batch b set sent_at = clock_timestamp() where b.id = $1 and b.attempt = $2 and b.state = 'sending' and ${ACTIVE_RUN}`,
    [batch.id, batch.attempt],
  )
  return rowCount === 1
}

/** Which of these keys this run could not deliver: their old match values have to stay. */
export async function refusedInRun(
  db: pg.Pool,
  { sync, run, keys }: { sync: string; run: string; keys: readonly Buffer[] },
): Promise<Set<string>> {
  const { rows } = await db.query<{ id: Buffer }>('select id from rejection where sync = $1 and run = $2 and id = any($3::bytea[])', [
    sync,
    run,
    keys,
  ])
  return new Set(rows.map(({ id }) => id.toString('hex')))
}
