import type pg from 'pg'
import { unpack } from './segment.ts'

/** True in a statement whose batch is `b`: the run it belongs to (or that took it over) is the sync's active run and may deliver. */
export const ACTIVE_RUN = `exists (select 1 from run r join sync_state s on s.sync = r.sync
  where r.id = coalesce(b.heir, b.run) and s.active_run = r.id and r.finished_at is null and not r.dry_run)`

export interface Activated {
  /** Batches of older runs that have to be sent again verbatim before the plan. */
  readonly inherited: number
}

/**
 * Makes a run the sync's active run and closes every batch of older runs (invariant 1), in one transaction: not yet claimed ones
 * are discarded, claimed and unsettled ones become doubt, or, where nothing can be read back, are inherited to be sent again
 * verbatim. From its commit on no statement of an older run has an effect. Repeatable for the same run.
 *
 * Null: the run is not the one to go (ended, or another one took its place).
 */
export async function activateRun(
  db: pg.Pool,
  { run, sync, keepStaleMatches, kind }: { run: string; sync: string; keepStaleMatches: boolean; kind: 'delivers' | 'adopts' | 'looks' },
): Promise<Activated | null> {
  const client = await db.connect()
  try {
    await client.query('begin')
    await client.query('insert into sync_state (sync) values ($1) on conflict do nothing', [sync])
    const state = await client.query<{ active_run: string | null }>('select active_run from sync_state where sync = $1 for update', [sync])
    const own = await client.query(`select 1 from run where id = $1 and sync = $2 and slot = 'active' and finished_at is null for update`, [
      run,
      sync,
    ])
    if (own.rowCount !== 1) {
      await client.query('rollback')
      return null
    }
    if (state.rows[0]?.active_run !== run) {
      await client.query('update sync_state set active_run = $2 where sync = $1', [sync, run])
      await client.query(`update run set started_at = coalesce(started_at, clock_timestamp()), state = 'planning' where id = $1`, [run])
    }
    // A dry run leaves no trace: what older runs left stays as it is, out of reach, for the next run that delivers.
    if (kind !== 'looks') await closeOlderBatches(client, { run, sync, keepStaleMatches, inherit: kind === 'delivers' })
    const inherited = await client.query(`select 1 from batch where heir = $1 and state in ('planned', 'sending')`, [run])
    await client.query('commit')
    return { inherited: inherited.rowCount ?? 0 }
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  } finally {
    client.release()
  }
}

interface Closing {
  readonly run: string
  readonly sync: string
  readonly keepStaleMatches: boolean
  readonly inherit: boolean
}

const OLDER = `b.run = r.id and r.sync = $1 and r.id <> $2 and b.state in ('planned', 'sending') and coalesce(b.heir, b.run) <> $2`

/**
 * Locks what is open, waiting for statements of older runs that are under way, then closes it. Such a statement may leave a child
 * batch that the lock did not see, so it is repeated until nothing is open.
 */
async function closeOlderBatches(client: pg.ClientBase, closing: Closing): Promise<void> {
  const older = [closing.sync, closing.run]
  for (;;) {
    const { rows } = await client.query<{ id: number }>(`select b.id from batch b, run r where ${OLDER} for update of b`, older)
    await closeBatches(
      client,
      closing,
      rows.map(({ id }) => id),
    )
    const left = await client.query(`select 1 from batch b, run r where ${OLDER} limit 1`, older)
    if (left.rowCount === 0) return
  }
}

/** `definition.settleAfterMs` is null where the destination cannot be read back. */
async function closeBatches(
  client: pg.ClientBase,
  { run, sync, keepStaleMatches, inherit }: Closing,
  batches: readonly number[],
): Promise<void> {
  const older = `${OLDER} and b.id = any($3::bigint[])`
  // Doubtful and never claimed (a dry run's, for one): what made it doubtful is on the books, nothing of it was sent.
  await client.query(
    `update batch b set state = 'discarded' from run r
     where ${older} and b.state = 'planned' and b.heir is null and (not b.doubtful or (b.attempt = 0 and b.parent is null))`,
    [sync, run, batches],
  )
  if (inherit) {
    // Handing over counts as an attempt: a worker of the older run that still holds the claim can neither settle nor renew it.
    await client.query(
      `update batch b set heir = $2, attempt = b.attempt + 1 from run r join sync_state s on s.sync = r.sync
     where ${older} and r.definition ->> 'settleAfterMs' is null and r.generation = s.generation`,
      [sync, run, batches],
    )
  }
  const { rows } = await client.query<{ phase: string; entries: Buffer; wait_ms: number }>(
    `update batch b set state = 'doubt' from run r where ${older}
     returning b.phase, b.entries,
       extract(epoch from coalesce(b.sent_at, clock_timestamp()) - clock_timestamp())::float8 * 1000 + coalesce((r.definition ->> 'settleAfterMs')::float8, 0) as wait_ms`,
    [sync, run, batches],
  )
  for (const batch of rows) {
    const entries = unpack(batch.entries)
    await client.query(
      `insert into doubt (sync, key, not_before) select $1, key, clock_timestamp() + $3 * interval '1 millisecond' from unnest($2::bytea[]) as e (key)
       on conflict (sync, key) do update set not_before = greatest(doubt.not_before, excluded.not_before)`,
      [sync, entries.map((e) => e.key), Math.max(0, batch.wait_ms)],
    )
    const named = entries.flatMap((e) => (e.match === null ? [] : [{ key: e.key, match: e.match }]))
    if (keepStaleMatches && batch.phase === 'upsert' && named.length > 0) {
      await client.query(
        `insert into stale_match (sync, key, match) select $1, key, match from unnest($2::bytea[], $3::text[]) as e (key, match) on conflict do nothing`,
        [sync, named.map((e) => e.key), named.map((e) => e.match)],
      )
    }
  }
}

/** The baseline generation for what identifies the records, without moving anything; 0, which is always empty, for a new identity. */
export async function peekGeneration(
  db: pg.Pool,
  { sync, baselineId, keyParts }: { sync: string; baselineId: string; keyParts: string },
): Promise<number> {
  const { rows } = await db.query<{ generation: number }>(
    'select generation from sync_state where sync = $1 and baseline_id = $2 and key_parts = $3',
    [sync, baselineId, keyParts],
  )
  return rows[0]?.generation ?? 0
}

/**
 * The baseline generation for what identifies the records; a new identity starts a new one, and the old books are closed.
 * Null when the run is not the sync's active run.
 */
export async function chooseGeneration(
  db: pg.Pool,
  { run, sync, baselineId, keyParts }: { run: string; sync: string; baselineId: string; keyParts: string },
): Promise<number | null> {
  const { rows } = await db.query<{ generation: number }>(
    `with s as (
       update sync_state set
         generation = case when baseline_id = $3 and key_parts = $4 then generation else generation + 1 end,
         compacted_seq = case when baseline_id = $3 and key_parts = $4 then compacted_seq else 0 end,
         baseline_id = $3, key_parts = $4
       where sync = $1 and active_run = $2 returning generation
     ), old as (select baseline_id is distinct from $3 or key_parts is distinct from $4 as moved from sync_state where sync = $1),
     d as (delete from doubt where sync = $1 and (select moved from old) and exists (select 1 from s)),
     m as (delete from stale_match where sync = $1 and (select moved from old) and exists (select 1 from s)),
     j as (delete from rejection where sync = $1 and (select moved from old) and exists (select 1 from s)),
     r as (update run set generation = s.generation from s where run.id = $2)
     select generation from s`,
    [sync, run, baselineId, keyParts],
  )
  return rows[0]?.generation ?? null
}
