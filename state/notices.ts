import type pg from 'pg'

/** What a Notification may be told: a change of a sync's condition. */
export type NoticeEvent = 'failed' | 'parked' | 'partial' | 'recovered'

/**
 * Common table expressions for a statement that changes a run. `changed` is one that gives id, sync, condition and detail of the run,
 * or no row where the condition stays. They note the condition and write one notice for each Notification that wants to know, if the
 * condition is another one than before; a run that parks always is one, because it waits for a person of its own. A first success
 * is no recovery. The statement has to select from `told`.
 */
export const noticesOf = (changed: string): string => `
  moved as (
    insert into sync_condition as c (sync, condition, run) select sync, condition, id from ${changed}
    on conflict (sync) do update set condition = excluded.condition, run = excluded.run, since = clock_timestamp()
      where c.condition <> excluded.condition or excluded.condition = 'parked' and c.run <> excluded.run
    returning sync, run, case when condition <> 'ok' then condition when xmax <> 0 then 'recovered' end as event
  ), noticed as (
    insert into notice (notification, sync, run, event, detail)
    select n.name, m.sync, m.run, m.event, ch.detail from moved m join ${changed} ch on ch.id = m.run
    join resource n on n.kind = 'Notification' and n.spec -> 'on' ? m.event
    returning id
  ), told as (select count(pg_notify('tailrace_notice', id::text)) as n from noticed)`

/** Notices whose workflow nobody started yet, oldest first. */
export async function unstartedNotices(db: pg.Pool, limit: number): Promise<{ id: string; notification: string; event: NoticeEvent }[]> {
  const { rows } = await db.query<{ id: string; notification: string; event: NoticeEvent }>(
    'select id, notification, event from notice where started_at is null order by created_at limit $1',
    [limit],
  )
  return rows
}

export async function noteNoticeStarted(db: pg.Pool, id: string): Promise<void> {
  await db.query('update notice set started_at = coalesce(started_at, clock_timestamp()) where id = $1', [id])
}

export interface Notice {
  readonly id: string
  readonly notification: string
  readonly sync: string
  readonly run: string
  readonly event: NoticeEvent
  readonly detail: Readonly<Record<string, unknown>>
  readonly createdAt: Date
}

/** Null: it was told, or given up. */
export async function openNotice(db: pg.Pool, id: string): Promise<Notice | null> {
  const { rows } = await db.query<Notice>(
    `select id, notification, sync, run, event, detail, created_at as "createdAt" from notice where id = $1 and ended_at is null`,
    [id],
  )
  return rows[0] ?? null
}

/** Repeatable: the first end stays. */
export async function endNotice(db: pg.Pool, id: string, outcome: 'sent' | 'given_up' | 'dropped'): Promise<void> {
  await db.query('update notice set ended_at = clock_timestamp(), outcome = $2 where id = $1 and ended_at is null', [id, outcome])
}

/** How every configured sync stands that has run. */
export async function syncConditions(db: pg.Pool): Promise<{ sync: string; condition: string }[]> {
  const { rows } = await db.query<{ sync: string; condition: string }>(
    `select c.sync, c.condition from sync_condition c join resource s on s.kind = 'Sync' and s.name = c.sync order by c.sync`,
  )
  return rows
}
