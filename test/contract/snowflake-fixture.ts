import { createServer } from 'node:net'
import { DRIVER_ENVIRONMENT } from '../../connectors/snowflake/driver.ts'
import { openSnowflake } from '../../connectors/snowflake/index.ts'
import type { CanonicalText, Query } from '../../connectors/contract.ts'
import type { Source } from '../../connectors/source-contract.ts'
import { snowflakeProcess, type SnowflakeProcess } from '../snowflake/process.ts'
import { eventually } from '../harness/eventually.ts'
import type { LogicalType, SourceFixture, TableSpec } from './source-fixture.ts'

/** As DuckDB, behind the stand-in, spells them. */
const NATIVE: Readonly<Record<LogicalType, string>> = {
  integer: 'DECIMAL(38, 0)',
  decimal: 'DECIMAL(38, 20)',
  float: 'DOUBLE',
  boolean: 'BOOLEAN',
  text: 'VARCHAR',
  timestamptz: 'TIMESTAMPTZ',
  timestamp: 'TIMESTAMP_NS',
  date: 'DATE',
  json: 'JSON',
  bytes: 'BLOB',
}

/** The driver waits up to some seconds before it asks for a chunk again: with 3 s of patience that test failed now and then. */
const SILENCE_MS = 10_000

export interface SnowflakeFixture extends SourceFixture {
  readonly standIn: SnowflakeProcess
  open(config?: Record<string, unknown>): Source
}

/** A stand-in of its own; nothing here was ever tried against a real account. */
export async function snowflakeFixture(): Promise<SnowflakeFixture> {
  Object.assign(process.env, DRIVER_ENVIRONMENT)
  const standIn = await snowflakeProcess()
  const { config } = standIn
  const running = async (): Promise<number> => (await standIn.report()).running
  const open = (given: Record<string, unknown> = config.keyPair): Source => openSnowflake(given, { silenceMs: SILENCE_MS })
  let tables = 0

  return {
    standIn,
    open,
    source: open(),
    reopen: () => open(),
    refused: open({ ...config.token, token: 'pat-of-somebody-else' }),
    unreachable: open({ ...config.token, accessUrl: `http://127.0.0.1:${await closedPort()}` }),
    secrets: [...standIn.secrets, 'pat-of-somebody-else'],
    keyTypes: {
      integer: ['10', '9', '-1', '-10', '0', '9223372036854775807', '-9223372036854775808', '4294967296', '999999999999999'],
      decimal: ['10', '9', '-1', '1.5', '0', '0.25', '100'],
      text: ['b', 'a', 'B', 'ä', 'z', '', '\t', '\n', '\\', '\\N', 'a\tb', 'a\nb', 'ab', '𝄞', 'ｚ', '\u0001', 'a\u0000', 'a\u0000b'],
      boolean: ['true', 'false'],
      date: ['2026-01-31', '1999-12-31'],
      timestamp: ['2026-01-31T23:59:59.123456789', '2026-01-31T23:59:59', '2026-01-31T23:59:59.5', '2026-01-31T23:50:00'],
      timestamptz: ['2026-01-31T23:59:59.123456Z', '2026-01-31T23:59:59Z', '2026-01-31T23:59:59.5Z'],
    },
    badKeyType: 'json',
    // A column has one scale, and a VARIANT no blanks.
    values: {
      decimal: ['0.00000000000000000000', '123456789012345678.12345678901234567890', '-0.10000000000000000000', '0.00000000000000000001'],
      timestamp: ['2026-01-31T23:59:59.123456789', '2024-03-10T02:30:00', '1969-12-31T23:59:59.000000001', '2026-01-31T10:00:00.5'],
      json: ['{"a":1,"b":"c\\n\\u00e9\\"\\\\"}', '[12345678901234567890.10,null,true]', '"x"', 'null'],
    },
    table: async (spec, replaced) => {
      const name = replaced !== undefined && 'table' in replaced ? replaced.table : `suite_${(tables += 1)}`
      await createTable(standIn, name, spec)
      return { table: name }
    },
    many: (rows): Query => ({ sql: `select i as id, repeat('x', 2000) as filler from range(1, ${rows + 1}) t(i)` }),
    slow: { sql: 'select 1 as id from (select system$wait(60) as waited)' },
    broken: {
      query: { sql: 'select 1 as id,\n  missing\nfrom (select 1) t' },
      where: "error line 2 at position 2 invalid identifier 'MISSING'",
    },
    badRow: { sql: "select (case when i < 3000 then '1' else 'private-value' end)::number(38, 0) as id from range(1, 3001) t(i)" },
    twoStatements: { sql: 'select 1 as id; select system$wait(300)' },
    // The driver holds a chunk of 16 MB as text and as rows, and the next one beside it.
    readMemoryBytes: 450_000_000,
    running,
    loseConnections: () => standIn.fail(),
    async close() {
      await eventually('nothing runs', async () => (await running()) === 0)
      await standIn.close()
    },
  }
}

async function createTable(standIn: SnowflakeProcess, name: string, { columns, rows }: TableSpec): Promise<void> {
  const types = Object.values(columns)
  const list = Object.entries(columns).map(([column, type]) => `${column} ${NATIVE[type]}`)
  await standIn.set(`create or replace table ${name} (${list.join(', ')})`)
  if (rows.length === 0) return
  const values = rows.map((row) => `(${row.map((cell, i) => literal(cell, types[i] ?? 'text')).join(', ')})`)
  await standIn.set(`insert into ${name} values ${values.join(', ')}`)
}

function literal(cell: CanonicalText, type: LogicalType): string {
  if (cell === null) return 'NULL'
  if (type === 'bytes') return `from_base64('${cell}')`
  // DuckDB's parser ends a string at its zero byte.
  const pieces = cell.split('\u0000').map((piece) => `'${piece.replaceAll("'", "''")}'`)
  const text = pieces.join(' || chr(0) || ')
  return type === 'text' ? text : `(${text})::${NATIVE[type]}`
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
