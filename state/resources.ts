import type pg from 'pg'
import { inTransaction, type Database } from './database.ts'
import type { ConnectorSpec, Kind, ModelSpec, NotificationSpec, SyncSpec } from './spec.ts'

interface Specs {
  readonly Source: ConnectorSpec
  readonly Model: ModelSpec
  readonly Destination: ConnectorSpec
  readonly Sync: SyncSpec
  readonly Notification: NotificationSpec
}

/** A resource as a document describes it. The kind decides the spec's type. */
export type Resource<K extends Kind = Kind> = { [P in K]: { readonly kind: P; readonly name: string; readonly spec: Specs[P] } }[K]

/** As stored. `version` begins at 1 and grows with every change; it is the resource's etag. */
export type StoredResource<K extends Kind = Kind> = { [P in K]: Resource<P> & { readonly version: number } }[K]

export type ResourceChange =
  { readonly op: 'create' | 'update'; readonly resource: Resource } | { readonly op: 'delete'; readonly kind: Kind; readonly name: string }

const COLUMNS = 'kind, name, spec, version'

/** Every resource, by kind and name. */
export async function allResources(db: pg.Pool | pg.ClientBase): Promise<StoredResource[]> {
  const { rows } = await db.query<StoredResource>(`select ${COLUMNS} from resource order by kind, name collate "C"`)
  return rows
}

/** Up to `limit` resources of a kind by name, from the one after `after` on. */
export async function listResources(
  db: Database,
  { kind, limit, after }: { readonly kind: Kind; readonly limit: number; readonly after: string | null },
): Promise<StoredResource[]> {
  const { rows } = await db.query<StoredResource>(
    `select ${COLUMNS} from resource where kind = $1 and ($2::text is null or name collate "C" > $2) order by name collate "C" limit $3`,
    [kind, after, limit],
  )
  return rows
}

export async function getResource(db: Database, kind: Kind, name: string): Promise<StoredResource | null> {
  const { rows } = await db.query<StoredResource>(`select ${COLUMNS} from resource where kind = $1 and name = $2`, [kind, name])
  return rows[0] ?? null
}

/** What a decision is made from; nothing of it changes until the decision is carried out. */
export interface Books {
  readonly stored: readonly StoredResource[]
  /** Syncs that have an active or a queued run. */
  readonly busySyncs: ReadonlySet<string>
}

/**
 * The only way to change resources: shows `decide` what is stored, carries out what it answers, all or nothing, one caller at a
 * time. What `decide` throws ends it with nothing changed. Workers are told to look at the schedules. Deleting a sync forgets what
 * was sent for it (its runs stay); records at a destination are not touched. Repeatable.
 */
export async function changeResources<T extends { readonly changes: readonly ResourceChange[] }>(
  db: Database,
  decide: (books: Books) => T,
): Promise<T> {
  return inTransaction(db, async (client) => {
    // Readers go on; writers queue up here, so that every decision is made on what the one before left.
    await client.query('lock table resource in share row exclusive mode')
    const decision = decide({ stored: await allResources(client), busySyncs: await busySyncs(client) })
    for (const change of decision.changes) await carryOut(client, change)
    if (decision.changes.length > 0) await client.query(`notify tailrace_config`)
    return decision
  })
}

async function carryOut(client: pg.ClientBase, change: ResourceChange): Promise<void> {
  if (change.op === 'delete') {
    await client.query('delete from resource where kind = $1 and name = $2', [change.kind, change.name])
    if (change.kind === 'Sync') await forgetSync(client, change.name)
    return
  }
  const { kind, name, spec } = change.resource
  await client.query(
    `insert into resource (kind, name, spec) values ($1, $2, $3)
     on conflict (kind, name) do update set spec = excluded.spec, version = resource.version + 1, updated_at = now()`,
    [kind, name, JSON.stringify(spec)],
  )
}

async function forgetSync(client: pg.ClientBase, sync: string): Promise<void> {
  for (const table of [
    'sync_state',
    'baseline_segment',
    'doubt',
    'stale_match',
    'rejection',
    'sync_condition',
    'schedule',
    'warehouse_hash',
  ]) {
    await client.query(`delete from ${table} where sync = $1`, [sync])
  }
}

async function busySyncs(client: pg.ClientBase): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ sync: string }>('select distinct sync from run where slot is not null')
  return new Set(rows.map(({ sync }) => sync))
}
