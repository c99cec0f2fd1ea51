import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type pg from 'pg'
import { inTransaction, type Database } from './database.ts'

/** Any number that nothing else in this database takes an advisory lock on. */
const LOCK = 7_281_943_206

interface Migration {
  readonly version: number
  readonly file: string
  readonly checksum: string
  readonly sql: string
}

/** The schema is not one that this code can work with; the message says why and what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
}

/**
 * Brings the schema up to this code: one transaction for each file of migrations/, in order. Idempotent and safe from several
 * places at once. Returns the files applied by this call. Throws SchemaError for a schema newer than the code or a file that
 * changed after it was applied.
 */
export async function migrate(db: Database): Promise<string[]> {
  const migrations = await readMigrations()
  const applied: string[] = []
  for (const migration of migrations) {
    const fresh = await inTransaction(db, async (client) => {
      const done = await lockAndRead(client)
      refuseNewer(done, migrations)
      const before = done.get(migration.version)
      if (before !== undefined) return refuseChanged(migration, before)
      await client.query(migration.sql)
      await client.query('insert into tailrace_migration (version, file, checksum) values ($1, $2, $3)', [
        migration.version,
        migration.file,
        migration.checksum,
      ])
      return true
    })
    if (fresh) applied.push(migration.file)
  }
  return applied
}

/** Throws SchemaError unless the schema is exactly the one this code was written for. Reads only. */
export async function checkSchema(db: Database): Promise<void> {
  const migrations = await readMigrations()
  const { rows } = await db.query<{ found: string | null }>(`select to_regclass('tailrace_migration')::text as found`)
  const done = rows[0]?.found == null ? new Map<number, string>() : await readApplied(db)
  refuseNewer(done, migrations)
  const missing = migrations.filter((migration) => !done.has(migration.version))
  if (missing.length > 0)
    throw new SchemaError(`the state database lacks ${missing.map((m) => m.file).join(', ')}: run \`tailrace migrate\``)
}

async function lockAndRead(client: pg.PoolClient): Promise<Map<number, string>> {
  await client.query('select pg_advisory_xact_lock($1)', [LOCK])
  await client.query(
    `create table if not exists tailrace_migration (
       version int primary key,
       file text not null,
       checksum text not null,
       applied_at timestamptz not null default clock_timestamp()
     )`,
  )
  return readApplied(client)
}

async function readApplied(db: Database | pg.PoolClient): Promise<Map<number, string>> {
  const { rows } = await db.query<{ version: number; checksum: string }>('select version, checksum from tailrace_migration')
  return new Map(rows.map((row) => [row.version, row.checksum]))
}

function refuseNewer(done: ReadonlyMap<number, string>, migrations: readonly Migration[]): void {
  const newest = Math.max(0, ...done.keys())
  const known = migrations.at(-1)?.version ?? 0
  if (newest > known) {
    throw new SchemaError(`the state database is at schema ${newest}, this version of Tailrace knows ${known}: run the newer version`)
  }
}

function refuseChanged(migration: Migration, checksum: string): false {
  if (migration.checksum === checksum) return false
  throw new SchemaError(
    `${migration.file} is not what was applied to this state database: run the version of Tailrace that applied it, or start with an empty database`,
  )
}

async function readMigrations(): Promise<Migration[]> {
  const folder = new URL('./migrations/', import.meta.url)
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(files.map((file, i) => readMigration(folder, file, i + 1)))
}

async function readMigration(folder: URL, file: string, expected: number): Promise<Migration> {
  const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1])
  if (version !== expected) throw new SchemaError(`migrations/${file} should be number ${expected} and be named like 0001_name.sql`)
  const sql = (await readFile(new URL(file, folder), 'utf8')).replaceAll('\r\n', '\n')
  return { version, file, sql, checksum: createHash('sha256').update(sql).digest('hex') }
}
