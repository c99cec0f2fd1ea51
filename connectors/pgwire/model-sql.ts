import pg from 'pg'
import type { Query } from '../contract.ts'
import { ConnectorError } from '../errors.ts'

/** The model's statement as the server gets it, and what of it the user wrote. */
export interface ModelSql {
  readonly text: string
  /** In this session a backslash in a plain string is an escape. */
  readonly backslashEscapes: boolean
  /** False where `text` is made from a table's name: positions in it mean nothing to the user. */
  readonly written: boolean
}

export function modelSql(query: Query, { backslashEscapes }: Pick<ModelSql, 'backslashEscapes'>): ModelSql {
  const text = 'sql' in query ? query.sql : `select * from ${quoteTable(query.table)}`
  return { text, backslashEscapes, written: 'sql' in query }
}

/** A statement around the model; `offset` is the number of characters before the model's own text. */
export interface Wrapped {
  readonly text: string
  readonly offset: number
}

/** `text` must have been parsed by the server as one statement: only then is nothing but blanks and comments behind its semicolon. */
export function wrapModel(model: ModelSql, selectList: string, tail = ''): Wrapped {
  const head = `select ${selectList} from (\n`
  return { text: `${head}${withoutTerminator(model.text, model)}\n) as model${tail}`, offset: Array.from(head).length }
}

export function quoteName(name: string): string {
  return pg.escapeIdentifier(name)
}

const BARE = '[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*'
const PART = new RegExp(`${BARE}|"(?:[^"]|"")+"`, 'gy')
const TABLE = new RegExp(`^(?:${BARE}|"(?:[^"]|"")+")(?:\\.(?:${BARE}|"(?:[^"]|"")+")){0,2}$`)

/** `schema.table` as SQL reads it: bare parts fold to lower case, quoted ones stay. Always quoted, as `user` is a function, too. */
export function quoteTable(table: string): string {
  const text = table.trim()
  if (!TABLE.test(text)) {
    throw new ConnectorError(
      'config',
      `"${table}" is not the name of a table; write schema.table, odd names in double quotes: "my-schema"."Table"`,
    )
  }
  const parts: string[] = []
  for (let at = 0; at < text.length; at = PART.lastIndex + 1) {
    PART.lastIndex = at
    const part = PART.exec(text)?.[0]
    if (part === undefined) break
    parts.push(part.startsWith('"') ? part : quoteName(part.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())))
  }
  return parts.join('.')
}

const ESCAPED_STRING = "'[^'\\\\]*(?:(?:''|\\\\[\\s\\S])[^'\\\\]*)*'"

/** What may hide a semicolon: comments, strings of every kind, quoted names, dollar quotes. Words keep `a$b$` from being one. */
const token = (plainString: string): RegExp =>
  new RegExp(
    [
      '--[^\\r\\n]*',
      '\\/\\*',
      `[eE]${ESCAPED_STRING}`,
      plainString,
      '"[^"]*"',
      '(\\$(?:[A-Za-z_\\u0080-\\uffff][\\w\\u0080-\\uffff]*)?\\$)[\\s\\S]*?\\1',
      BARE,
      ';',
      '[\\s\\S]',
    ].join('|'),
    'gy',
  )

const TOKEN = token("'[^']*'")
const TOKEN_WITH_ESCAPES = token(ESCAPED_STRING)

/** The statement up to its terminating semicolon. */
export function withoutTerminator(sql: string, { backslashEscapes }: Pick<ModelSql, 'backslashEscapes'>): string {
  const tokens = backslashEscapes ? TOKEN_WITH_ESCAPES : TOKEN
  let at = 0
  while (at < sql.length) {
    tokens.lastIndex = at
    const found = tokens.exec(sql)?.[0] ?? ''
    if (found === ';') return sql.slice(0, at)
    at = found === '/*' ? commentEnd(sql, at) : at + Math.max(found.length, 1)
  }
  return sql
}

/** SQL comments nest. */
function commentEnd(sql: string, start: number): number {
  const mark = /\/\*|\*\//g
  mark.lastIndex = start
  let depth = 0
  for (let found = mark.exec(sql); found !== null; found = mark.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1
    if (depth === 0) return mark.lastIndex
  }
  return sql.length
}

/** Line and column, from 1, of a character position (from 1, in code points, as PostgreSQL counts). */
export function lineAndColumn(sql: string, position: number): { readonly line: number; readonly column: number } {
  const before = Array.from(sql)
    .slice(0, position - 1)
    .join('')
  const lines = before.split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}
