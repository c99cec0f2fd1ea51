import type pg from 'pg'

const RUNS_A_STATEMENT = 100

/**
 * Drops payloads of ended runs, and the runs themselves, after their retention; counted from a run's end. Batches that were claimed
 * and not settled stay, whatever their age. Small statements, so that nothing waits for it.
 */
export async function prune(db: pg.Pool, retentionDays: number): Promise<void> {
  for (;;) {
    const { rowCount } = await db.query(
      `delete from run where id in (
         select r.id from run r where r.finished_at < clock_timestamp() - $1 * interval '1 day'
           and not exists (select 1 from batch b where b.run = r.id and b.state in ('planned', 'sending'))
         limit $2 for update skip locked)`,
      [retentionDays, RUNS_A_STATEMENT],
    )
    if ((rowCount ?? 0) < RUNS_A_STATEMENT) break
  }
  await db.query(`delete from idempotency_key where created_at < clock_timestamp() - interval '1 day'`)
  await db.query(`delete from inspection where created_at < clock_timestamp() - interval '1 hour'`)
}
