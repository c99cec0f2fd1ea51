import type pg from 'pg'
import { moveBooks, type PlanCounts } from './staging.ts'
import type { NewRejection } from './settle.ts'

/**
 * Takes over a generation that was written aside, within the caller's transaction: the flip is one statement that demands that
 * the run is the sync's active run and has no plan yet. False: nothing was changed, roll back.
 */
export async function publishAdopted(
  client: pg.ClientBase,
  adopted: {
    run: string
    sync: string
    /** The next one. */
    generation: number
    baselineId: string
    keyParts: string
    seq: number
    mappingId: string
    counts: PlanCounts
    invalid: readonly NewRejection[]
    beganAt: Date
  },
): Promise<boolean> {
  const { run, sync, generation, baselineId, keyParts, seq, mappingId, counts, invalid, beganAt } = adopted
  const { rowCount } = await client.query(
    `with s as (
       update sync_state set generation = $3, baseline_id = $8, key_parts = $9, compacted_seq = $4, mapping_id = $5
       where sync = $1 and active_run = $2 and generation = $3::int - 1 returning 1
     )
     update run set plan = id, generation = $3, planned = $6, upsert_batches = 0, remove_batches = 0, plan_began_at = $7
     from s where run.id = $2 and run.plan is null`,
    [sync, run, generation, seq, mappingId, JSON.stringify({ ...counts, holds: [], bulk: [] }), beganAt, baselineId, keyParts],
  )
  if (rowCount !== 1) return false
  await client.query('delete from baseline_segment where sync = $1 and generation <> $2', [sync, generation])
  await client.query('delete from doubt where sync = $1', [sync])
  await client.query('delete from stale_match where sync = $1', [sync])
  await client.query('delete from rejection where sync = $1', [sync])
  await moveBooks(client, run, sync, { invalid, settledRejections: [], renamed: [], currentAgain: [], certain: [] })
  return true
}

/** Higher than that of every segment written before. */
export async function nextBaselineSeq(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ seq: number }>(`select nextval('baseline_seq') as seq`)
  return rows[0]?.seq ?? 0
}
