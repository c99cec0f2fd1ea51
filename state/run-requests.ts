import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { inTransaction } from './database.ts'
import { endRun, type RunEnd } from './run-row.ts'
import { getRun, type RunRow } from './runs.ts'

export interface RunRequest {
  readonly sync: string
  readonly trigger: string
  readonly full: boolean
  readonly verify: boolean
  readonly dryRun: boolean
  readonly adopt: boolean
  readonly onConflict: 'reject' | 'join' | 'queue'
  /** The caller's span, W3C Trace Context. */
  readonly traceparent?: string | undefined
  /** The caller's key for this very request; the same key with another hash is a mistake of the caller. Remembered for 24 h. */
  readonly idempotency?: { readonly key: string; readonly bodyHash: string } | undefined
}

/**
 * accepted: this run is the sync's active run now and has to be started · queued: it follows the active one · joined: it is the
 * active one · conflict: it is the one in the way, nothing was changed · replayed: the run that this key got before · mismatch:
 * the key was used for another request, which got this run.
 */
export type AcceptanceKind = 'accepted' | 'queued' | 'joined' | 'conflict' | 'replayed' | 'mismatch'

export interface Acceptance {
  readonly kind: AcceptanceKind
  readonly run: RunRow
}

/** There is no sync of that name (any more). */
export class UnknownSyncError extends Error {
  override readonly name = 'UnknownSyncError'

  constructor(sync: string) {
    super(`there is no sync ${sync}`)
  }
}

type Decision = { readonly kind: AcceptanceKind; readonly run: string }

/**
 * Accepts, queues or refuses a run in one transaction; starts nothing. Calls for one sync queue up, so that any number of
 * concurrent ones give one active and one next run. A sync cannot be deleted meanwhile. Throws UnknownSyncError.
 */
export async function acceptRun(db: pg.Pool, request: RunRequest): Promise<Acceptance> {
  return inTransaction(db, async (client) => {
    const id = newRunId()
    const earlier = request.idempotency ? await claimKey(client, request.idempotency, id) : null
    const { kind, run } = earlier ?? (await decide(client, request, id))
    if (request.idempotency && !earlier) await rememberKey(client, request.idempotency.key, kind === 'conflict' ? null : run)
    const row = await getRun(client, run)
    if (!row) throw new Error(`run ${run} is missing`)
    return { kind, run: row }
  })
}

/** Null: the key is ours now. A concurrent call with the same key waits here until the first one is done. */
async function claimKey(
  client: pg.ClientBase,
  { key, bodyHash }: { key: string; bodyHash: string },
  run: string,
): Promise<Decision | null> {
  const { rowCount } = await client.query(
    `insert into idempotency_key as k (key, body_hash, run) values ($1, $2, $3)
     on conflict (key) do update set body_hash = excluded.body_hash, run = excluded.run, created_at = clock_timestamp()
     where k.created_at < clock_timestamp() - interval '24 hours'`,
    [key, bodyHash, run],
  )
  if (rowCount === 1) return null
  const { rows } = await client.query<{ body_hash: string; run: string }>('select body_hash, run from idempotency_key where key = $1', [
    key,
  ])
  const first = rows[0]
  if (!first) throw new Error('an idempotency key vanished while it was read')
  return { kind: first.body_hash === bodyHash ? 'replayed' : 'mismatch', run: first.run }
}

/** A refused request leaves no trace: the same key may be tried again. */
async function rememberKey(client: pg.ClientBase, key: string, run: string | null): Promise<void> {
  if (run === null) await client.query('delete from idempotency_key where key = $1', [key])
  else await client.query('update idempotency_key set run = $2 where key = $1', [key, run])
}

async function decide(client: pg.ClientBase, request: RunRequest, id: string): Promise<Decision> {
  await lockSync(client, request.sync)
  const slots = await openSlots(client, request.sync)
  if (slots.active === undefined) {
    await insertRun(client, request, id, 'active')
    return { kind: 'accepted', run: id }
  }
  if (request.onConflict === 'reject') return { kind: 'conflict', run: slots.active }
  if (request.onConflict === 'join') return { kind: 'joined', run: slots.active }
  if (slots.next === undefined) {
    await insertRun(client, request, id, 'next')
    return { kind: 'queued', run: id }
  }
  return (await widenNext(client, request, slots.next)) ? { kind: 'queued', run: slots.next } : { kind: 'conflict', run: slots.next }
}

/** Applying configuration locks the whole table; the row keeps requests for one sync in line. */
async function lockSync(client: pg.ClientBase, sync: string): Promise<void> {
  await client.query('lock table resource in row exclusive mode')
  const { rowCount } = await client.query(`select 1 from resource where kind = 'Sync' and name = $1 for no key update`, [sync])
  if (rowCount === 0) throw new UnknownSyncError(sync)
}

/** A run whose turn has come takes the free place first, so that nobody overtakes it. */
async function openSlots(client: pg.ClientBase, sync: string): Promise<{ active: string | undefined; next: string | undefined }> {
  await promote(client, sync)
  const { rows } = await client.query<{ id: string; slot: 'active' | 'next' }>(
    'select id, slot from run where sync = $1 and slot is not null',
    [sync],
  )
  return { active: rows.find(({ slot }) => slot === 'active')?.id, next: rows.find(({ slot }) => slot === 'next')?.id }
}

async function insertRun(client: pg.ClientBase, request: RunRequest, id: string, slot: 'active' | 'next'): Promise<void> {
  await client.query(
    `insert into run (id, sync, slot, trigger, full_plan, verify, dry_run, adopt, traceparent) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [id, request.sync, slot, request.trigger, request.full, request.verify, request.dryRun, request.adopt, request.traceparent ?? null],
  )
}

/** The run that waits does what both requests ask for. False: a dry run or an adoption cannot stand for anything else. */
async function widenNext(client: pg.ClientBase, request: RunRequest, next: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `update run set full_plan = full_plan or $2, verify = verify or $3 where id = $1 and slot = 'next' and dry_run = $4 and adopt = $5`,
    [next, request.full, request.verify, request.dryRun, request.adopt],
  )
  return rowCount === 1
}

/** The queued run of a sync becomes its active one, if there is no active one. Repeatable; starts nothing. */
export async function promoteNext(db: pg.Pool, sync: string): Promise<void> {
  await inTransaction(db, async (client) => {
    await client.query(`select 1 from resource where kind = 'Sync' and name = $1 for no key update`, [sync])
    await promote(client, sync)
  })
}

async function promote(client: pg.ClientBase, sync: string): Promise<void> {
  await client.query(
    `update run set slot = 'active' where sync = $1 and slot = 'next' and not exists (select 1 from run where sync = $1 and slot = 'active')`,
    [sync],
  )
}

/**
 * Ends a run as endRun does and queues a run of each sync that follows it, in one transaction: an ended run has its followers.
 * Those that are not there any more are passed over. Repeatable: a run that has ended is followed no more.
 */
export async function endRunFollowed(db: pg.Pool, end: RunEnd, followers: readonly string[]): Promise<string | null> {
  if (followers.length === 0) return endRun(db, end)
  return inTransaction(db, async (client) => {
    const open = await client.query('select 1 from run where id = $1 and finished_at is null for update', [end.run])
    if (open.rowCount === 1) for (const sync of followers) await follow(client, sync)
    return endRun(client, end)
  })
}

async function follow(client: pg.ClientBase, sync: string): Promise<void> {
  const request = { sync, trigger: 'after', full: false, verify: false, dryRun: false, adopt: false, onConflict: 'queue' } as const
  try {
    await decide(client, request, newRunId())
  } catch (error) {
    if (!(error instanceof UnknownSyncError)) throw error
  }
}

/** Ends a run that has not begun. False: it has (cancel its workflow then), or it has ended. Listeners are told. */
export async function cancelQueued(db: pg.Pool, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `with ended as (
       update run r set slot = null, state = 'cancelled', finished_at = clock_timestamp(), waiting = null,
         error = jsonb_build_object('code', 'cancelled', 'message', 'cancelled by request before it began'),
         owed = (select count(*) from rejection x where x.sync = r.sync)
       where r.id = $1 and r.finished_at is null and r.state = 'queued' and (r.slot = 'next' or r.temporal_run_id is null)
       returning r.id, r.sync
     )
     select pg_notify('tailrace_run', id::text), pg_notify('tailrace_ended', sync) from ended`,
    [id],
  )
  return rowCount === 1
}

/** UUID version 7 (RFC 9562): sorts by the time it was made. */
function newRunId(): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
