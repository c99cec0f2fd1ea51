import { createServer } from 'node:net'
import pg from 'pg'
import type { Query } from '../../connectors/contract.ts'
import type { Source } from '../../connectors/source-contract.ts'
import { postgres } from '../../connectors/postgres/index.ts'
import { freshDatabase } from '../harness/database.ts'
import { eventually } from '../harness/eventually.ts'
import type { LogicalType, SourceFixture, TableSpec } from './source-fixture.ts'

const NATIVE: Readonly<Record<LogicalType, string>> = {
  integer: 'int8',
  decimal: 'numeric',
  float: 'float8',
  boolean: 'bool',
  text: 'text',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  json: 'json',
  bytes: 'bytea',
}

/** Defaults that would show in every value if a read did not pin its settings. */
const HOSTILE = [
  "timezone = 'Asia/Tokyo'",
  "datestyle = 'German'",
  "intervalstyle = 'sql_standard'",
  "bytea_output = 'escape'",
  'extra_float_digits = -5',
  'standard_conforming_strings = off',
]

/** Tells the source's connections from the suite's own. */
const APPLICATION = 'source-suite'

export interface PostgresFixture extends SourceFixture {
  readonly pool: pg.Pool
  readonly url: string
}

/** A database of its own whose defaults are as unhelpful as can be, and a role that may not log in. */
export function postgresFixture(): Promise<PostgresFixture> {
  return databaseFixture({
    open: (url) => postgres.open({ url }),
    hostile: HOSTILE,
    keyTypes: {
      integer: [
        '10',
        '9',
        '-1',
        '-10',
        '0',
        '9223372036854775807',
        '-9223372036854775808',
        '4294967296',
        '999999999999999',
        '1000000000000000',
      ],
      decimal: ['10', '9', '-1', '1.5', '0', '0.25'],
      text: ['b', 'a', 'B', 'ä', 'z', '', '\t', '\n', '\\', '\\N', 'a\tb', 'a\nb', 'ab', '𝄞', 'ｚ', '\u0001'],
      boolean: ['true', 'false'],
      date: ['2026-01-31', '1999-12-31', '0044-03-15 BC', 'infinity'],
      timestamp: ['2026-01-31T23:59:59.123456', '2026-01-31T23:59:59', '2026-01-31T23:59:59.5', '-infinity'],
      timestamptz: ['2026-01-31T23:59:59.123456Z', '2026-01-31T23:59:59Z', '2026-01-31T23:59:59.5Z', 'infinity'],
    },
  })
}

export interface DatabaseOptions extends Pick<SourceFixture, 'keyTypes'> {
  readonly open: (url: string) => Source
  readonly hostile: readonly string[]
  /** Where the source finds the database, if not at its own address. */
  readonly via?: (url: string) => Promise<{ readonly url: string } & AsyncDisposable>
  readonly collation?: string
}

/** A database on the suite's PostgreSQL for any source that speaks its protocol. */
export async function databaseFixture({ open, hostile, keyTypes, via, collation }: DatabaseOptions): Promise<PostgresFixture> {
  const database = await freshDatabase(collation === undefined ? '' : `locale '${collation}' template template0`)
  const { pool } = database
  const proxy = await via?.(withPassword(database.url))
  const url = proxy?.url ?? withPassword(database.url)
  const name = new URL(url).pathname.slice(1)
  for (const setting of hostile) await pool.query(`alter database ${name} set ${setting}`)
  await pool.query(`create role ${name}_out nologin password ${pg.escapeLiteral(new URL(url).password)}`)
  const refused = new URL(url)
  refused.username = `${name}_out`
  const unreachable = new URL(url)
  unreachable.port = String(await closedPort())
  const backends = `from pg_stat_activity where datname = current_database() and application_name = '${APPLICATION}' and state <> 'idle'`
  let tables = 0

  return {
    pool,
    url,
    source: open(url),
    reopen: () => open(url),
    refused: open(refused.href),
    unreachable: open(unreachable.href),
    secrets: [new URL(url).password],
    keyTypes,
    badKeyType: 'json',
    async table(spec, replaced) {
      const table = replaced !== undefined && 'table' in replaced ? replaced.table : `suite_${(tables += 1)}`
      if (replaced !== undefined) await pool.query(`drop table ${table}`)
      await createTable(pool, table, spec)
      return { table }
    },
    many: (rows): Query => ({ sql: `select i as id, repeat('x', 2000) as filler from generate_series(1, ${rows}) i` }),
    slow: { sql: 'select 1::int8 as id from pg_sleep(60)' },
    broken: {
      query: { sql: 'select 1 as id,\n  missing\nfrom (select 1) t' },
      where: 'column "missing" does not exist at line 2, column 3',
    },
    badRow: { sql: "select (case when i < 3000 then '1' else 'private-value' end)::int as id from generate_series(1, 3000) i" },
    twoStatements: { sql: 'select 1 as id; select pg_sleep(300)' },
    async running() {
      const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n ${backends}`)
      return rows[0]?.n ?? 0
    },
    async loseConnections() {
      await pool.query(`select pg_terminate_backend(pid) ${backends}`)
    },
    async close() {
      await eventually('every connection was closed', async () => {
        const open = `select 1 from pg_stat_activity where datname = current_database() and application_name = '${APPLICATION}'`
        return (await pool.query(open)).rowCount === 0
      })
      await proxy?.[Symbol.asyncDispose]()
      await database.drop()
      await dropRole(database.url, `${name}_out`)
    },
  }
}

async function createTable(pool: pg.Pool, table: string, { columns, rows }: TableSpec): Promise<void> {
  const names = Object.entries(columns)
  await pool.query(`create table ${table} (${names.map(([name, type]) => `${pg.escapeIdentifier(name)} ${NATIVE[type]}`).join(', ')})`)
  const cells = names.map(([, type], i) => (type === 'bytes' ? `decode(c${i}, 'base64')` : `c${i}::${NATIVE[type]}`))
  const arrays = names.map((_, i) => `$${i + 1}::text[]`)
  const aliases = names.map((_, i) => `c${i}`)
  const values = names.map((_, i) => rows.map((row) => row[i] ?? null))
  await pool.query(`insert into ${table} select ${cells.join(', ')} from unnest(${arrays.join(', ')}) as t(${aliases.join(', ')})`, values)
}

/** A server that trusts us never asks for it, and no message may tell it all the same. */
function withPassword(href: string): string {
  const url = new URL(href)
  if (url.password === '') url.password = 'warehouse-secret'
  url.searchParams.set('application_name', APPLICATION)
  return url.href
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function dropRole(url: string, role: string): Promise<void> {
  const server = new URL(url)
  server.pathname = '/postgres'
  const client = new pg.Client(server.href)
  await client.connect()
  await client.query(`drop role ${role}`)
  await client.end()
}
