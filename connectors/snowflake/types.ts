import type { ValueKind } from '../contract.ts'
import type { KeyPart } from '../keys.ts'

/** How a type is read: the driver is shown text only. Pure. */
export interface TypeTraits {
  readonly kind: ValueKind
  /** SQL of the value's text for the SQL of a column. */
  readonly text: (column: string) => string
  /** Tabs, line breaks and backslashes may stand in it. */
  readonly free: boolean
  /** Null where the type has no order that bytes can carry. */
  readonly key: KeyForm | null
}

/** `own`: the key text is the value's text as well, so a mapped key column is read once. */
export interface KeyForm {
  readonly part: KeyPart
  readonly own: boolean
  readonly text: (column: string) => string
}

type Sql = (column: string) => string

const varchar: Sql = (column) => `TO_VARCHAR(${column})`
/** A point stands before the zeros, so none of a whole number goes. */
const trimmed =
  (text: Sql): Sql =>
  (column) =>
    `RTRIM(RTRIM(${text(column)}, '0'), '.')`
const timestamp: Sql = trimmed((column) => `TO_VARCHAR(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.FF9')`)
const zoned: Sql = (column) => `${timestamp(`CONVERT_TIMEZONE('UTC', ${column})`)} || 'Z'`
/** 17 digits, so that it reads back the same; NaN equals itself in Snowflake. */
const float: Sql = (column) =>
  `CASE WHEN ${column} = 'NaN'::FLOAT THEN 'NaN' WHEN ${column} = 'inf'::FLOAT THEN 'Infinity' WHEN ${column} = '-inf'::FLOAT THEN '-Infinity' ELSE TO_VARCHAR(${column}, 'TME') END`
const json: Sql = (column) => `TO_JSON(TO_VARIANT(${column}))`

const keyed = (kind: ValueKind, text: Sql, free = false): TypeTraits => ({ kind, text, free, key: { part: 'text', own: true, text } })
const plain = (kind: ValueKind, text: Sql, free = false): TypeTraits => ({ kind, text, free, key: null })

const INTEGER: TypeTraits = { kind: 'integer', text: varchar, free: false, key: { part: 'int64', own: true, text: varchar } }
/** 1.0 of NUMBER(10, 1) and 1.00 of NUMBER(10, 2) are one key. */
const DECIMAL: TypeTraits = { kind: 'decimal', text: varchar, free: false, key: { part: 'text', own: false, text: trimmed(varchar) } }
const ZONED = keyed('timestamptz', zoned)

const TYPES: ReadonlyMap<string, TypeTraits> = new Map([
  ['text', keyed('text', (column) => column, true)],
  ['boolean', keyed('boolean', varchar)],
  ['date', keyed('date', (column) => `TO_VARCHAR(${column}, 'YYYY-MM-DD')`)],
  ['timestamp_ntz', keyed('timestamp', timestamp)],
  ['timestamp_ltz', ZONED],
  ['timestamp_tz', ZONED],
  [
    'time',
    plain(
      'other',
      trimmed((column) => `TO_VARCHAR(${column}, 'HH24:MI:SS.FF9')`),
    ),
  ],
  ['real', plain('float', float)],
  ['variant', plain('json', json, true)],
  ['object', plain('json', json, true)],
  ['map', plain('json', json, true)],
  ['array', plain('array', json, true)],
  ['binary', plain('bytes', (column) => `BASE64_ENCODE(${column})`)],
])

/** `type` is the driver's name of it. A type that is not listed is cast, or refused by Snowflake with its own words. */
export function traitsOf(type: string, scale: number): TypeTraits {
  const name = type.toLowerCase()
  if (name === 'fixed') return scale === 0 ? INTEGER : DECIMAL
  return TYPES.get(name) ?? plain('other', varchar, true)
}

/** The type as Snowflake's SQL writes it, for messages. */
export function nativeType(type: string, precision: number, scale: number): string {
  if (type.toLowerCase() === 'fixed') return `NUMBER(${precision}, ${scale})`
  return type.toLowerCase() === 'real' ? 'FLOAT' : type.toLowerCase() === 'text' ? 'VARCHAR' : type.toUpperCase()
}

export const KEY_TYPES = 'NUMBER, VARCHAR, BOOLEAN, DATE and TIMESTAMP'
