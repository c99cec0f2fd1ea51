/**
 * Pure: Snowflake's SQL as DuckDB understands it, as far as models of the tests and our own statements need it. What DuckDB can be
 * taught by a macro is one in engine.ts. Anything else fails there, which is the harsher way.
 */

export interface Session {
  readonly user: string
  readonly role: string
  readonly warehouse: string | null
  readonly database: string
  readonly schema: string
  /** Temporary tables that it made, by their names in SQL, with the tables that stand for them. */
  readonly temporary: Map<string, string>
}

export interface Translated {
  readonly sql: string
  /** The statement asks to wait so long. */
  readonly waitSeconds: number
}

/** Strings, quoted names, comments, words, anything else. */
const TOKEN = /('(?:[^'\\]|\\[\s\S]|'')*')|("(?:[^"]|"")*")|(--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|([A-Za-z_][\w$]*)|([\s\S])/g

const TYPES: Readonly<Record<string, string>> = {
  FLOAT: 'DOUBLE',
  NUMBER: 'DECIMAL',
  BINARY: 'BLOB',
  VARIANT: 'JSON',
  OBJECT: 'JSON',
  ARRAY: 'JSON[]',
  TIMESTAMP_NTZ: 'TIMESTAMP_NS',
  TIMESTAMP_LTZ: 'TIMESTAMPTZ',
  TIMESTAMP_TZ: 'TIMESTAMPTZ',
}

export function translate(sql: string, session: Session): Translated {
  let waitSeconds = 0
  const words = sql.replace(TOKEN, (token: string, literal?: string, name?: string, comment?: string, word?: string, ...rest) => {
    if (literal !== undefined) return plainLiteral(literal)
    // `//` opens a comment in Snowflake only.
    if (comment !== undefined) return comment.startsWith('//') ? `--${comment.slice(2)}` : comment
    if (name !== undefined || word === undefined) return token
    const [, at, whole] = rest as [string, number, string]
    const type = TYPES[word.toUpperCase()]
    if (type === undefined) return token
    const sized = /^\s*\(/.test(whole.slice(at + word.length))
    return type === 'DECIMAL' && !sized ? 'DECIMAL(38,0)' : type
  })
  const waiting = words.replace(/system\$wait\((\d+)\)/gi, (_, seconds: string) => {
    waitSeconds += Number(seconds)
    return 'NULL'
  })
  return { sql: withTables(withFormats(withContext(waiting, session)), session), waitSeconds }
}

/** Transient tables are tables, temporary ones are seen by their session only; bound rows are lists of their columns. */
function withTables(sql: string, { temporary }: Session): string {
  let text = sql.replace(/\b(create or replace) (?:transient|temporary) table\b/i, '$1 table')
  for (const [name, table] of temporary) text = text.replaceAll(name, table)
  return text.replace(/\bvalues \((\?(?:, \?)*)\)\s*$/i, (_, marks: string) => `select ${marks.replaceAll('?', 'unnest(?::varchar[])')}`)
}

/** The table that a statement makes: its schema, its name as SQL has it and whether it is a temporary one; null for any other. */
export function createdTable(sql: string): { name: string; schema: string; temporary: boolean } | null {
  const found = /^\s*create or replace (transient|temporary) table ((?:"[^"]+"\.)?"([^"]+)"\."[^"]+")/i.exec(sql)
  if (found === null) return null
  const [, kind = '', name = '', schema = ''] = found
  return { name, schema, temporary: kind.toLowerCase() === 'temporary' }
}

/** Snowflake's strings know backslash escapes; DuckDB's do not. */
function plainLiteral(literal: string): string {
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }
  return literal.replace(/\\([\s\S])/g, (_, letter: string) => (letter === "'" ? "''" : (escapes[letter] ?? letter)))
}

function withContext(sql: string, session: Session): string {
  const quoted = (text: string | null): string => (text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`)
  return sql
    .replace(/current_version\(\)/gi, "'9.30.1'")
    .replace(/current_user\(\)/gi, quoted(session.user))
    .replace(/current_role\(\)/gi, quoted(session.role))
    .replace(/current_warehouse\(\)/gi, quoted(session.warehouse))
    .replace(/current_database\(\)/gi, quoted(session.database))
    .replace(/current_schema\(\)/gi, quoted(session.schema))
}

/** TO_VARCHAR with a format: DuckDB cannot choose by the format's text, so each format is a macro of its own. */
const FORMATS: Readonly<Record<string, string>> = {
  "'TME'": 'SF_FLOAT_TEXT',
  "'YYYY-MM-DD'": 'SF_DATE_TEXT',
  '\'YYYY-MM-DD"T"HH24:MI:SS.FF9\'': 'SF_TIMESTAMP_TEXT',
  "'HH24:MI:SS.FF9'": 'SF_TIME_TEXT',
  "'UTF-8'": 'SF_UTF8_TEXT',
}

function withFormats(sql: string): string {
  // DuckDB's own function of this name rounds numbers.
  sql = sql.replace(/\bto_json\(/gi, 'SF_JSON_TEXT(')
  const call = /to_varchar\(/gi
  for (let found = call.exec(sql); found !== null; found = call.exec(sql)) {
    const open = call.lastIndex
    const { end, comma } = argumentsFrom(sql, open)
    if (comma === null) continue
    const format = sql.slice(comma + 1, end).trim()
    const macro = FORMATS[format]
    if (macro === undefined) throw new Error(`the stand-in knows no format ${format}`)
    sql = `${sql.slice(0, found.index)}${macro}(${sql.slice(open, comma)}${sql.slice(end)}`
  }
  return sql
}

/** Where a call's arguments end and where its last comma stands. */
function argumentsFrom(sql: string, open: number): { end: number; comma: number | null } {
  let depth = 1
  let comma: number | null = null
  TOKEN.lastIndex = open
  for (let found = TOKEN.exec(sql); found !== null; found = TOKEN.exec(sql)) {
    const [token] = found
    if (token === '(') depth++
    if (token === ')' && --depth === 0) return { end: found.index, comma }
    if (token === ',' && depth === 1) comma = found.index
  }
  throw new Error('a call without its end')
}

/** `session parameters` of one ALTER SESSION statement, upper case; null for any other statement. */
export function alterSession(sql: string): Map<string, string> | null {
  if (!/^\s*alter\s+session\s+set\b/i.test(sql)) return null
  const pairs = sql.matchAll(/([A-Z_]+)\s*=\s*(?:'((?:[^']|'')*)'|([\w.-]+))/gi)
  return new Map([...pairs].map(([, name, text, word]) => [(name ?? '').toUpperCase(), text?.replaceAll("''", "'") ?? word ?? '']))
}
