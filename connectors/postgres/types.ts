import type { ValueKind } from '../contract.ts'
import type { KeyPart } from '../keys.ts'

/** How a type is read. `key` is null where it has no order that bytes can carry. Pure. */
export interface TypeTraits {
  readonly kind: ValueKind
  readonly key: KeyForm | null
}

/** `own`: the key text is the text that the column itself has (as decoded), so a mapped key column is read once. */
export interface KeyForm {
  readonly part: KeyPart
  readonly own: boolean
  /** SQL of the key text for the SQL of a column. */
  readonly sql: (column: string) => string
}

const text = (sql: (column: string) => string, own: boolean): KeyForm => ({ part: 'text', own, sql })

const INTEGER: TypeTraits = { kind: 'integer', key: { part: 'int64', own: true, sql: (column) => column } }
const AS_TEXT = text((column) => `${column}::text`, true)
const TEXT: TypeTraits = { kind: 'text', key: AS_TEXT }
const JSON_TEXT: TypeTraits = { kind: 'json', key: null }
const FLOAT: TypeTraits = { kind: 'float', key: null }
const OTHER: TypeTraits = { kind: 'other', key: null }

/** In the form that values have, `T` and `Z` included; infinities and years BC stay as printed. */
const TIMESTAMPTZ_KEY = text((column) => `regexp_replace(${column}::text, '^(\\S+) (\\S+)[+]00$', '\\1T\\2Z')`, true)
const TIMESTAMP_KEY = text((column) => `regexp_replace(${column}::text, '^(\\S+) (\\S+)$', '\\1T\\2')`, true)

/** By object id, which is fixed for the types of pg_catalog: a name could be somebody else's type. */
const BUILT_IN: ReadonlyMap<number, TypeTraits> = new Map([
  [16, { kind: 'boolean', key: AS_TEXT }],
  [17, { kind: 'bytes', key: null }],
  [18, TEXT],
  [19, TEXT],
  [20, INTEGER],
  [21, INTEGER],
  [23, INTEGER],
  [25, TEXT],
  [26, { kind: 'integer', key: null }],
  [114, JSON_TEXT],
  [700, FLOAT],
  [701, FLOAT],
  // The cast drops the padding: 'a' and 'a ' are one char(n).
  [1042, { kind: 'text', key: text((column) => `${column}::text`, false) }],
  [1043, TEXT],
  [1082, { kind: 'date', key: AS_TEXT }],
  [1114, { kind: 'timestamp', key: TIMESTAMP_KEY }],
  [1184, { kind: 'timestamptz', key: TIMESTAMPTZ_KEY }],
  // 1.0 and 1.00 are one number.
  [1700, { kind: 'decimal', key: text((column) => `trim_scale(${column})::text`, false) }],
  [2950, TEXT],
  [3802, JSON_TEXT],
])

/** `type` and `category` are pg_type's typtype and typcategory. Domains never come here: the server describes their base type. */
export function traitsOf(oid: number, type: string, category: string): TypeTraits {
  const builtIn = BUILT_IN.get(oid)
  if (builtIn !== undefined) return builtIn
  if (category === 'A') return { kind: 'array', key: null }
  return type === 'e' ? TEXT : OTHER
}

export const KEY_TYPES = 'smallint, integer, bigint, text, varchar, char(n), uuid, numeric, boolean, date, timestamp, timestamptz and enums'
