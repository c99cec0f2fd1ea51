import type pg from 'pg'

export interface KnownSchedule {
  /** Hash of what it was made from. */
  readonly made: string
  /** Hash of how Temporal showed it right after. */
  readonly shown: string
  readonly gone: boolean
}

export async function knownSchedules(db: pg.Pool): Promise<Map<string, KnownSchedule>> {
  const { rows } = await db.query<KnownSchedule & { sync: string }>('select sync, made, shown, gone from schedule')
  return new Map(rows.map(({ sync, ...known }) => [sync, known]))
}

/** A schedule that is made from something else is a new one: its receiver may be there. Repeatable. */
export async function noteSchedule(db: pg.Pool, sync: string, { made, shown }: { made: string; shown: string }): Promise<void> {
  await db.query(
    `insert into schedule as s (sync, made, shown) values ($1, $2, $3)
     on conflict (sync) do update set made = excluded.made, shown = excluded.shown, gone = s.gone and s.made = excluded.made`,
    [sync, made, shown],
  )
}

export async function forgetSchedule(db: pg.Pool, sync: string): Promise<void> {
  await db.query('delete from schedule where sync = $1', [sync])
}

/** Whether the receiver of the sync is gone for good; the reconcile loop pauses or unpauses the schedule. Repeatable. */
export async function noteGone(db: pg.Pool, sync: string, gone: boolean): Promise<void> {
  await db.query('update schedule set gone = $2 where sync = $1 and gone <> $2', [sync, gone])
}
