import type pg from 'pg'

/** How a sync stands, for monitoring; all counts, no data. */
export interface SyncFigures {
  readonly sync: string
  /** Seconds since the plan of the last run that ended owing nothing began; null: none did yet. */
  readonly freshnessSeconds: number | null
  /** Records that it owes, by class of rejection. */
  readonly owed: Readonly<Record<string, number>>
  /** Records whose last send has an unknown outcome. */
  readonly doubtful: number
  /** Of `every`, unless paused; null for other schedules and for none. */
  readonly every: string | null
}

/** A claim older than this is not under way any more. */
const IN_FLIGHT = `interval '2 minutes'`

/** Every configured sync, by name. */
export async function syncFigures(db: pg.Pool): Promise<SyncFigures[]> {
  const { rows } = await db.query<SyncFigures>(
    `with owed as (
       select sync, jsonb_object_agg(class, n) as owed from (select sync, class, count(*) as n from rejection group by sync, class) c group by sync
     ), doubtful as (
       select sync, sum(n)::float8 as n from (
         select sync, count(*) as n from doubt group by sync
         union all
         select r.sync, sum(length(replace(b.ops, 'x', ''))) from batch b join run r on r.id = b.run
         where not r.dry_run and (b.state = 'sending' and (b.not_before is not null or b.sent_at < clock_timestamp() - ${IN_FLIGHT})
           or b.state = 'planned' and b.doubtful and (b.attempt > 0 or b.parent is not null))
         group by r.sync
       ) d group by sync
     )
     select s.name as sync, extract(epoch from clock_timestamp() - st.fresh_at)::float8 as "freshnessSeconds",
       coalesce(owed.owed, '{}') as owed, coalesce(doubtful.n, 0) as doubtful,
       case when coalesce((s.spec -> 'schedule' ->> 'paused')::boolean, false) then null else s.spec -> 'schedule' ->> 'every' end as every
     from resource s left join sync_state st on st.sync = s.name left join owed on owed.sync = s.name left join doubtful on doubtful.sync = s.name
     where s.kind = 'Sync' order by s.name`,
  )
  return rows
}
