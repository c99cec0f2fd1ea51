import type { Query } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { quoteName } from './columns.ts'

export function modelSql(query: Query): string {
  return 'sql' in query ? query.sql : `SELECT * FROM ${quoteTable(query.table)}`
}

/** A statement around the model, which Snowflake must have compiled as one statement by itself before. */
export function wrapModel(model: string, selectList: string, tail = ''): string {
  return `SELECT ${selectList} FROM (\n${withoutTerminator(model)}\n) AS model${tail}`
}

const NAME = '(?:[A-Za-z_][\\w$]*|"(?:[^"]|"")+")'
const PART = new RegExp(NAME, 'gy')
const TABLE = new RegExp(`^${NAME}(?:\\.${NAME}){0,2}$`)
const SCHEMA = new RegExp(`^${NAME}(?:\\.${NAME})?$`)

/** `database.schema.table` as Snowflake reads it: bare parts fold to upper case, quoted ones stay. */
export function quoteTable(table: string): string {
  const text = table.trim()
  if (TABLE.test(text)) return quotePath(text)
  const advice = 'write schema.table or database.schema.table, odd names in double quotes: "my-schema"."Table"'
  throw new ConnectorError('config', `"${table}" is not the name of a table; ${advice}`)
}

/** `schema` or `database.schema`; null: it is no name of one. */
export function quoteSchema(schema: string): string | null {
  const text = schema.trim()
  return SCHEMA.test(text) ? quotePath(text) : null
}

function quotePath(text: string): string {
  const parts: string[] = []
  for (let at = 0; at < text.length; at = PART.lastIndex + 1) {
    PART.lastIndex = at
    const part = PART.exec(text)?.[0]
    if (part === undefined) break
    parts.push(part.startsWith('"') ? part : quoteName(part.toUpperCase()))
  }
  return parts.join('.')
}

/** What may hide a semicolon: comments of three kinds, strings with backslash escapes, quoted names, dollar quotes. */
const TOKEN = /--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\[\s\S])*'|"[^"]*"|\$\$[\s\S]*?\$\$|;|[\s\S]/gy

/** The statement up to its terminating semicolon. */
export function withoutTerminator(sql: string): string {
  for (let at = 0; at < sql.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(sql)?.[0] ?? ''
    if (token === ';') return sql.slice(0, at)
  }
  return sql
}
