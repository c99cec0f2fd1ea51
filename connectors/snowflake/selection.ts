import { ConnectorError } from '../errors.ts'
import { findColumn } from '../find-column.ts'
import type { KeyPart } from '../keys.ts'
import type { ModelColumn } from './columns.ts'
import { KEY_TYPES, type KeyForm } from './types.ts'

export interface Selection {
  /** SQL of one text per row: its line (lines.ts), the key in the model's order, then the other used columns in name order. */
  readonly line: string
  /** SQL of the key's parts, in whose order rows come in the order of their key bytes: a number, or the bytes of a text. */
  readonly order: readonly string[]
  readonly keyParts: readonly KeyPart[]
  /** Where each requested column stands in a line, in the request's order. */
  readonly places: readonly Place[]
}

export interface Place {
  readonly index: number
  /** Its text is 17 digits, however few would do. */
  readonly float: boolean
}

/**
 * Pure. What to select of a model so that its rows come in the order of their key bytes. The driver hands out one text a row twice as
 * fast as ten (200k against 110k rows/s), and the line is the canonical row as it stands. Text is ordered by its bytes, whatever
 * collation its column has. Throws `config` for a column that is not there and for a key type without an order.
 */
export function selectColumns(
  columns: readonly ModelColumn[],
  { key, used }: { key: readonly string[]; used: readonly string[] },
): Selection {
  if (key.length === 0) throw new ConnectorError('config', 'the model names no primary key')
  const items: string[] = []
  const order: string[] = []
  const own = new Map<string, number>()
  const parts: KeyPart[] = []
  for (const name of key) {
    const column = findColumn(columns, name)
    const form = keyForm(column)
    const sql = `model.${column.sql}`
    order.push(form.part === 'int64' ? sql : `TO_BINARY(${form.text(sql)}, 'UTF-8')`)
    parts.push(form.part)
    if (form.own) own.set(name, items.length)
    items.push(field(form.text(sql), column.traits.free))
  }
  const others = [...new Set(used)].filter((name) => !own.has(name)).sort((a, b) => (a < b ? -1 : 1))
  for (const name of others) {
    const { sql, traits } = findColumn(columns, name)
    own.set(name, items.length)
    items.push(field(traits.text(`model.${sql}`), traits.free))
  }
  const places = used.map((name) => ({ index: own.get(name) ?? 0, float: findColumn(columns, name).kind === 'float' }))
  return { line: items.join(' || CHR(9) || '), order, keyParts: parts, places }
}

/** A field of a line. CHR, as a backslash in a string of Snowflake's starts an escape. */
export function field(text: string, free: boolean): string {
  const escaped = free
    ? `REPLACE(REPLACE(REPLACE(${text}, CHR(92), CHR(92) || CHR(92)), CHR(9), CHR(92) || 't'), CHR(10), CHR(92) || 'n')`
    : text
  return `NVL(${escaped}, CHR(92) || 'N')`
}

function keyForm(column: ModelColumn): KeyForm {
  const form = column.traits.key
  if (form !== null) return form
  throw new ConnectorError(
    'config',
    `the primary key column "${column.name}" is of type ${column.nativeType}, which has no order that keys can carry; these work: ${KEY_TYPES}. Cast it in the model's SQL`,
  )
}
