import { DuckDBInstance, type DuckDBConnection, type DuckDBPreparedStatement } from '@duckdb/node-api'
import { translate, type Session } from './dialect.ts'

/** A column as Snowflake's wire protocol describes it. */
export interface RowType {
  readonly name: string
  readonly type: string
  readonly precision: number | null
  readonly scale: number | null
}

/** What Snowflake answers instead of a result. */
export class SqlFailure extends Error {
  readonly code: string
  readonly sqlState: string

  constructor(code: string, sqlState: string, message: string) {
    super(message)
    this.code = code
    this.sqlState = sqlState
  }
}

/** What Snowflake has and DuckDB has not. Fractions come with nine digits, floats with 17: never shorter than Snowflake prints them. */
const MACROS = `
  create macro nvl(a, b) as coalesce(a, b);
  create macro iff(condition, a, b) as if(condition, a, b);
  create macro to_varchar(x) as cast(x as varchar);
  create macro to_variant(x) as x;
  create macro to_binary(x, format) as encode(x);
  create macro base64_encode(x) as base64(x);
  create macro convert_timezone(zone, x) as timezone(zone, x);
  create macro sf_json_text(x) as cast(x as varchar);
  create macro sf_float_text(x) as printf('%.16e', x);
  create macro sf_utf8_text(x) as decode(x);
  create macro sf_date_text(x) as strftime(x, '%Y-%m-%d');
  create macro sf_timestamp_text(x) as strftime(x, '%Y-%m-%dT%H:%M:%S.%n');
  create macro sf_time_text(x) as strftime(date '2000-01-01' + x, '%H:%M:%S.%n')`

/** The warehouse behind the stand-in: a DuckDB in memory, one database with one schema. */
export class Engine {
  readonly #instance: DuckDBInstance
  readonly #database: string
  readonly #schema: string

  private constructor(instance: DuckDBInstance, { database, schema }: { database: string; schema: string }) {
    this.#instance = instance
    this.#database = database
    this.#schema = schema
  }

  static async open(names: { database: string; schema: string }): Promise<Engine> {
    const engine = new Engine(await DuckDBInstance.create(':memory:', { threads: '2' }), names)
    const connection = await engine.#instance.connect()
    await connection.run(`attach ':memory:' as "${names.database}"; create schema if not exists "${names.database}"."${names.schema}"`)
    await connection.run(`use "${names.database}"."${names.schema}"; ${MACROS}`)
    connection.closeSync()
    return engine
  }

  /** Work on a connection of its own that nobody else interrupts. */
  async connected<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const connection = await this.#instance.connect()
    try {
      await connection.run(`use "${this.#database}"."${this.#schema}"`)
      return await work(connection)
    } finally {
      connection.closeSync()
    }
  }

  /** Statements of a test's set-up, in DuckDB's own words. */
  async set(sql: string): Promise<void> {
    await this.connected((connection) => connection.run(sql))
  }

  /** What a test wants to know, in DuckDB's own words. */
  async ask(sql: string): Promise<string[][]> {
    const rows = await this.connected(async (connection) => (await connection.runAndReadAll(sql)).getRows())
    return rows.map((row) => row.map(String))
  }

  /** The columns of one statement; nothing is run. Throws SqlFailure as Snowflake's compiler would. */
  describe(sql: string, session: Session): Promise<RowType[]> {
    return this.connected(async (connection) => (await prepareOne(connection, sql, session)).rowTypes)
  }

  close(): void {
    this.#instance.closeSync()
  }
}

export interface PreparedOne {
  readonly statement: DuckDBPreparedStatement
  readonly rowTypes: RowType[]
  readonly waitSeconds: number
}

export async function prepareOne(connection: DuckDBConnection, sql: string, session: Session): Promise<PreparedOne> {
  const { sql: text, waitSeconds } = translate(sql, session)
  try {
    const { count } = await connection.extractStatements(text)
    if (count !== 1) throw new SqlFailure('000008', '0A000', `Actual statement count ${count} did not match the desired statement count 1.`)
    const statement = await connection.prepare(text)
    const quoted = new Set([...sql.matchAll(/"((?:[^"]|"")*)"/g)].map(([, name]) => name?.replaceAll('""', '"')))
    const rowTypes = Array.from({ length: statement.columnCount }, (_, i) => {
      const name = statement.columnName(i)
      const type = statement.columnType(i)
      return {
        name: quoted.has(name) || !/^[A-Za-z_][\w$]*$/.test(name) ? name : name.toUpperCase(),
        ...wireType(String(type), type.alias),
      }
    })
    return { statement, rowTypes, waitSeconds }
  } catch (error) {
    throw asSqlFailure(error)
  }
}

/** Names that come from unquoted SQL are upper case in Snowflake; DuckDB keeps what was written. */
function wireType(type: string, alias: string | undefined): Omit<RowType, 'name'> {
  const plain = (name: string, scale: number | null = null): Omit<RowType, 'name'> => ({ type: name, precision: null, scale })
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? []
  if (precision !== undefined) return { type: 'fixed', precision: Number(precision), scale: Number(scale) }
  if (alias === 'JSON') return plain('variant')
  if (type.endsWith('[]')) return plain('array')
  switch (type) {
    case 'VARCHAR':
      return plain('text')
    case 'DOUBLE':
    case 'FLOAT':
      return plain('real')
    case 'BOOLEAN':
      return plain('boolean')
    case 'DATE':
      return plain('date')
    case 'TIME':
      return plain('time', 9)
    case 'TIMESTAMP':
    case 'TIMESTAMP_NS':
      return plain('timestamp_ntz', 9)
    case 'TIMESTAMP WITH TIME ZONE':
      return plain('timestamp_ltz', 9)
    case 'BLOB':
      return plain('binary')
    case 'STRUCT':
      return plain('object')
  }
  if (/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type)) return { type: 'fixed', precision: 38, scale: 0 }
  throw new SqlFailure('002040', '42601', `SQL compilation error:\nUnsupported data type '${type}'.`)
}

/** Runtime errors of Snowflake quote the value that caused them. */
export function asSqlFailure(error: unknown): SqlFailure {
  if (error instanceof SqlFailure) return error
  const message = error instanceof Error ? error.message : String(error)
  const [, kind = '', words = ''] = /(?:^|: )([A-Za-z ]+) Error: ([^\n]*)/.exec(message) ?? []
  if (kind === 'INTERRUPT') return new SqlFailure('000604', '57014', 'SQL execution canceled')
  const at = place(message)
  const [, subject] = /"([^"]*)"/.exec(words) ?? []
  if (kind === 'Parser') {
    return new SqlFailure(
      '001003',
      '42000',
      `SQL compilation error:\nsyntax error line ${at.line} at position ${at.position} unexpected '${subject ?? '<EOF>'}'.`,
    )
  }
  if (kind === 'Catalog' && words.startsWith('Schema')) {
    const [, name = ''] = /name "?([^" ]+)"? does not exist/.exec(words) ?? []
    return new SqlFailure('002003', '02000', `SQL compilation error:\nSchema '${name}' does not exist or not authorized.`)
  }
  if (kind === 'Catalog' && words.startsWith('Table')) {
    const [, name = ''] = /name "?([^" ]+)"? does not exist/.exec(words) ?? []
    return new SqlFailure('002003', '42S02', `SQL compilation error:\nObject '${name.toUpperCase()}' does not exist or not authorized.`)
  }
  if (kind === 'Binder' || kind === 'Catalog') {
    const what = words.startsWith('Referenced column') ? `invalid identifier '${(subject ?? '').toUpperCase()}'` : words
    return new SqlFailure('000904', '42000', `SQL compilation error: error line ${at.line} at position ${at.position}\n${what}`)
  }
  const [, value = ''] = /string '([^']*)'/.exec(words) ?? []
  if (kind === 'Conversion') return new SqlFailure('100038', '22018', `Numeric value '${value}' is not recognized`)
  return new SqlFailure('300002', 'XX000', message)
}

/** Snowflake counts lines from 1 and positions from 0. */
function place(message: string): { line: number; position: number } {
  const [, line, shown, caret] = /LINE (\d+): ([^\n]*)\n( *)\^/.exec(message) ?? []
  if (line === undefined || shown === undefined || caret === undefined) return { line: 1, position: 0 }
  return { line: Number(line), position: Math.max(0, caret.length - `LINE ${line}: `.length) }
}
