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
 * verbatim, if they are of the records that the run is about (`baselineId`): another destination must not get them. From its commit on
 * no statement of an older run has an effect. Repeatable for the same run.
 *
 * Null: the run is not the one to go (ended, or another one took its place).
 */
export async function activateRun(
  db: pg.Pool,
  { run, sync, kind, baselineId }: { run: string; sync: string; kind: 'delivers' | 'adopts' | 'looks'; baselineId: string },
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
    if (kind !== 'looks') await closeOlderBatches(client, { run, sync, inherit: kind === 'delivers' ? baselineId : null })
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
  /** Batches of these records are inherited; null: none are. */
  readonly inherit: string | null
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
async function closeBatches(client: pg.ClientBase, { run, sync, inherit }: Closing, batches: readonly number[]): Promise<void> {
  const older = `${OLDER} and b.id = any($3::bigint[])`
  // Doubtful and never claimed (a dry run's, for one): what made it doubtful is on the books, nothing of it was sent.
  await client.query(
    `update batch b set state = 'discarded' from run r
     where ${older} and b.state = 'planned' and b.heir is null and (not b.doubtful or (b.attempt = 0 and b.parent is null))`,
    [sync, run, batches],
  )
  if (inherit !== null) {
    // Handing over counts as an attempt: a worker of the older run that still holds the claim can neither settle nor renew it.
    await client.query(
      `update batch b set heir = $2, attempt = b.attempt + 1 from run r join sync_state s on s.sync = r.sync
     where ${older} and r.definition ->> 'settleAfterMs' is null and r.generation = s.generation and r.definition ->> 'baselineId' = $4`,
      [sync, run, batches, inherit],
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
    // A lost request may still write under it, whatever row holds it by then.
    if (batch.phase === 'upsert' && named.length > 0) {
      await client.query(
        `insert into stale_match (sync, key, match) select $1, key, match from unnest($2::bytea[], $3::text[]) as e (key, match) on conflict do nothing`,
        [sync, named.map((e) => e.key), named.map((e) => e.match)],
      )
    }
  }
}

/** The baseline generation that a plan is made for. */
export interface PlannedGeneration {
  readonly generation: number
  /** Its records are others than the current generation's: it is empty, and the books are not about it. */
  readonly fresh: boolean
}

/**
 * The generation of what identifies the records, the next one if the current one is of others. Moves nothing. Null: the run is not
 * the sync's active run.
 */
export async function plannedGeneration(
  db: pg.Pool,
  { run, sync, baselineId, keyParts }: { run: string; sync: string; baselineId: string; keyParts: string },
): Promise<PlannedGeneration | null> {
  const { rows } = await db.query<{ generation: number; same: boolean }>(
    `select generation, coalesce(baseline_id = $3 and key_parts = $4, false) as same from sync_state where sync = $1 and active_run = $2`,
    [sync, run, baselineId, keyParts],
  )
  const row = rows[0]
  return row ? { generation: row.same ? row.generation : row.generation + 1, fresh: !row.same } : null
}

/**
 * What a published plan means for the baseline takes effect, in one statement: its generation takes the place of the current one,
 * whose segments and books go, and the entries that it names lapse. Repeatable. Without effect before the plan is published and for a
 * run that is not the sync's active run.
 */
export async function beginDelivery(db: pg.Pool, run: string): Promise<void> {
  await db.query(
    `with r as (
       select r.id, r.sync, r.generation, r.key_parts, r.definition ->> 'baselineId' as baseline_id, s.generation < r.generation as moves
       from run r join sync_state s on s.sync = r.sync and s.active_run = r.id
       where r.id = $1 and r.plan is not null and r.finished_at is null and not r.dry_run
     ), s as (
       update sync_state s set generation = r.generation, compacted_seq = 0, baseline_id = r.baseline_id, key_parts = r.key_parts
       from r where s.sync = r.sync and s.active_run = r.id and r.moves
     ),
     o as (delete from baseline_segment b using r where b.sync = r.sync and r.moves and b.generation <> r.generation),
     d as (delete from doubt d using r where d.sync = r.sync and r.moves),
     m as (delete from stale_match m using r where m.sync = r.sync and r.moves),
     j as (delete from rejection j using r where j.sync = r.sync and r.moves and j.run <> r.id),
     l as (delete from lapse l using r where l.run = r.id returning l.*)
     insert into baseline_segment (sync, generation, first_key, seq, last_key, size, entries)
     select r.sync, r.generation, l.first_key, nextval('baseline_seq'), l.last_key, l.size, l.entries from r join l on l.run = r.id`,
    [run],
  )
}
