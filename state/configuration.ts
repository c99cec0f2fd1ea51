import type pg from 'pg'
import type { ConnectorSpec, ModelSpec, SyncSpec } from './spec.ts'

/** A sync with everything it refers to, as stored now. */
export interface SyncConfiguration {
  readonly sync: SyncSpec
  readonly model: ModelSpec
  readonly source: ConnectorSpec
  readonly destination: ConnectorSpec
}

/** Null: the sync, or something that it refers to, is not there (any more). */
export async function loadSync(db: pg.Pool, name: string): Promise<SyncConfiguration | null> {
  const { rows } = await db.query<SyncConfiguration>(
    `select s.spec as sync, m.spec as model, src.spec as source, d.spec as destination
     from resource s
     join resource m on m.kind = 'Model' and m.name = s.spec ->> 'model'
     join resource src on src.kind = 'Source' and src.name = m.spec ->> 'source'
     join resource d on d.kind = 'Destination' and d.name = s.spec ->> 'destination'
     where s.kind = 'Sync' and s.name = $1`,
    [name],
  )
  return rows[0] ?? null
}

/** Syncs whose schedule says that they follow this one, unless paused: by configuration, or because their receiver is gone for good: until a run gets through or the sync is configured anew. */
export async function syncsAfter(db: pg.Pool, sync: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select s.name from resource s where s.kind = 'Sync' and s.spec -> 'schedule' ->> 'after' = $1
       and not coalesce((s.spec -> 'schedule' ->> 'paused')::boolean, false)
       and (select r.error ->> 'code' from run r where r.sync = s.name and r.state in ('succeeded', 'partial', 'failed') and not r.dry_run
         and r.created_at > s.updated_at order by r.created_at desc limit 1) is distinct from 'gone'`,
    [sync],
  )
  return rows.map(({ name }) => name)
}

/** Every sync with its schedule; null where it has none. */
export async function syncSchedules(db: pg.Pool): Promise<{ name: string; schedule: NonNullable<SyncSpec['schedule']> | null }[]> {
  const { rows } = await db.query<{ name: string; spec: SyncSpec }>(`select name, spec from resource where kind = 'Sync' order by name`)
  return rows.map(({ name, spec }) => ({ name, schedule: spec.schedule ?? null }))
}
