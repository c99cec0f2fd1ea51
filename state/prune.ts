import type pg from 'pg'

const ROWS_A_SLICE = 200

/** True of a batch `b` that nobody can need any more: settled or replaced, on the books as doubt, or never claimed. */
const OVER = `(b.state in ('settled', 'split', 'discarded', 'doubt')
  or b.state = 'planned' and b.heir is null and (not b.doubtful or b.attempt = 0 and b.parent is null))`

/** Each deletes at most `$2` rows and passes over those that somebody holds. */
const SLICES: readonly string[] = [
  `delete from batch where id in (select b.id from run r join batch b on b.run = r.id
     where r.finished_at < clock_timestamp() - $1 * interval '1 day' and ${OVER} limit $2 for update of b skip locked)`,
  `delete from run where id in (select r.id from run r
     where r.finished_at < clock_timestamp() - $1 * interval '1 day' and not exists (select 1 from batch b where b.run = r.id)
     limit $2 for update skip locked)`,
  `delete from notice where id in (select id from notice
     where ended_at < clock_timestamp() - $1 * interval '1 day' limit $2 for update skip locked)`,
  `delete from idempotency_key where key in (select key from idempotency_key
     where created_at < clock_timestamp() - least($1, 1) * interval '1 day' limit $2 for update skip locked)`,
  `delete from inspection where id in (select id from inspection
     where created_at < clock_timestamp() - least($1, 1.0 / 24) * interval '1 day' limit $2 for update skip locked)`,
]

/**
 * Drops payloads of ended runs, and the runs themselves, after their retention, counted from a run's end. A batch that was claimed
 * and not settled stays, whatever its age, and its run with it. Slices of 200 rows that wait for nobody, so that no run waits for them
 * longer than a slice takes; `signal` ends it between two of them. Repeatable, also at the same time.
 */
export async function prune(db: pg.Pool, retentionDays: number, signal: AbortSignal): Promise<void> {
  for (const slice of SLICES) {
    for (let deleted = ROWS_A_SLICE; deleted === ROWS_A_SLICE && !signal.aborted;) {
      deleted = (await db.query(slice, [retentionDays, ROWS_A_SLICE])).rowCount ?? 0
    }
  }
}
