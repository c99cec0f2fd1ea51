import { ConnectorError } from '../errors.ts'
import type { KeyPart } from '../keys.ts'
import { findColumn, type ModelColumn } from './columns.ts'
import { converter, type Convert } from './copy-text.ts'
import { quoteName } from './model-sql.ts'
import { KEY_TYPES, type KeyForm } from './types.ts'

/** Where a value stands in a row of the COPY and how its text becomes canonical. */
export interface Place {
  readonly index: number
  readonly convert: Convert | null
}

export interface Selection {
  /** SQL of the select list: the key in the model's order, then the other used columns in name order. */
  readonly list: string
  readonly orderBy: string
  readonly keyParts: readonly KeyPart[]
  /** One place per requested column, in the request's order. */
  readonly places: readonly Place[]
}

/**
 * Pure. What to select of a model so that its rows come in the order of their key bytes. Throws `config` for a column that is not
 * there and for a key type without an order. The server's own byte order of text is that of UTF-8 only where it stores UTF-8.
 *
 * No NULLS FIRST: an ascending index is NULLS LAST, and rows with a NULL in the key have no key bytes anyway. Measured, 1M rows by
 * a bigint primary key: 1.07-1.27 s by its index, 1.31-1.56 s with NULLS FIRST, which sorts.
 */
export function selectColumns(
  columns: readonly ModelColumn[],
  { key, used, serverEncoding }: { key: readonly string[]; used: readonly string[]; serverEncoding: string },
): Selection {
  if (key.length === 0) throw new ConnectorError('config', 'the model names no primary key')
  const items: string[] = []
  const order: string[] = []
  const own = new Map<string, number>()
  const parts: KeyPart[] = []
  const bytewise = serverEncoding === 'UTF8' || serverEncoding === 'SQL_ASCII'
  for (const name of key) {
    const form = keyForm(findColumn(columns, name))
    const sql = form.sql(`model.${quoteName(name)}`)
    const collated = form.part === 'int64' ? sql : `(${sql}) collate "C"`
    items.push(collated)
    order.push(form.part === 'int64' || bytewise ? String(items.length) : `convert_to(${sql}, 'UTF8')`)
    parts.push(form.part)
    if (form.own) own.set(name, items.length - 1)
  }
  const others = [...new Set(used)].filter((name) => !own.has(name)).sort((a, b) => (a < b ? -1 : 1))
  for (const name of others) {
    const { kind } = findColumn(columns, name)
    const column = `model.${quoteName(name)}`
    own.set(name, items.length)
    items.push(kind === 'array' ? `to_json(${column})::text` : column)
  }
  const places = used.map((name) => ({ index: own.get(name) ?? 0, convert: converter(findColumn(columns, name).kind) }))
  return { list: items.join(', '), orderBy: ` order by ${order.join(', ')}`, keyParts: parts, places }
}

function keyForm(column: ModelColumn): KeyForm {
  const form = column.traits.key
  if (form !== null) return form
  throw new ConnectorError(
    'config',
    `the primary key column "${column.name}" is of type ${column.nativeType}, which has no order that keys can carry; these work: ${KEY_TYPES}. Cast it in the model's SQL`,
  )
}
