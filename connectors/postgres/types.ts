import type pg from 'pg'
import { textKey, type ModelColumn, type TypeTraits } from '../pgwire/columns.ts'

const INTEGER: TypeTraits = { kind: 'integer', key: { part: 'int64', own: true, sql: (column) => column }, exact: true }
const AS_TEXT = textKey((column) => `${column}::text`, true)
const TEXT: TypeTraits = { kind: 'text', key: AS_TEXT, exact: true }
const JSON_TEXT: TypeTraits = { kind: 'json', key: null }
const FLOAT: TypeTraits = { kind: 'float', key: null }
const arrayOf = (sql: (column: string) => string): TypeTraits => ({ kind: 'array', key: null, sql })
const ARRAY = arrayOf((column) => `to_json(${column})::text`)
/** PostgreSQL makes strings of NaN and infinities; bare they are what they are among numbers: no JSON, so that nobody takes them for texts. */
const bare = (column: string): string => `regexp_replace(to_json(${column})::text, '"(NaN|-?infinity)"', '\\1', 'gi')`
const FINITE_ARRAY = arrayOf(bare)
const TIMESTAMPTZ_ARRAY = arrayOf((column) => `replace(${bare(column)}, '+00:00"', 'Z"')`)
const OTHER: TypeTraits = { kind: 'other', key: null }

/** In the form that values have, `T` and `Z` included; infinities and years BC stay as printed. */
const TIMESTAMPTZ_KEY = textKey((column) => `regexp_replace(${column}::text, '^(\\S+) (\\S+)[+]00$', '\\1T\\2Z')`, true)
const TIMESTAMP_KEY = textKey((column) => `regexp_replace(${column}::text, '^(\\S+) (\\S+)$', '\\1T\\2')`, true)

/** By object id, which is fixed for the types of pg_catalog: a name could be somebody else's type. */
const BUILT_IN: ReadonlyMap<number, TypeTraits> = new Map([
  [16, { kind: 'boolean', key: AS_TEXT, exact: true }],
  [17, { kind: 'bytes', key: null, exact: true }],
  [18, TEXT],
  [19, TEXT],
  [20, INTEGER],
  [21, INTEGER],
  [23, INTEGER],
  [25, TEXT],
  [26, { kind: 'integer', key: null, exact: true }],
  [114, JSON_TEXT],
  [1021, FINITE_ARRAY],
  [1022, FINITE_ARRAY],
  [1115, FINITE_ARRAY],
  [1182, FINITE_ARRAY],
  [1185, TIMESTAMPTZ_ARRAY],
  [1231, FINITE_ARRAY],
  [700, FLOAT],
  [701, FLOAT],
  // The cast drops the padding: 'a' and 'a ' are one char(n).
  [1042, { kind: 'text', key: textKey((column) => `${column}::text`, false) }],
  [1043, TEXT],
  [1082, { kind: 'date', key: AS_TEXT, exact: true }],
  [1114, { kind: 'timestamp', key: TIMESTAMP_KEY, exact: true }],
  [1184, { kind: 'timestamptz', key: TIMESTAMPTZ_KEY, exact: true }],
  // 1.0 and 1.00 are one number.
  [1700, { kind: 'decimal', key: textKey((column) => `trim_scale(${column})::text`, false) }],
  [2950, TEXT],
  [3802, JSON_TEXT],
])

/** `type` and `category` are pg_type's typtype and typcategory. Domains never come here: the server describes their base type. */
export function traitsOf(oid: number, type: string, category: string): TypeTraits {
  const builtIn = BUILT_IN.get(oid)
  if (builtIn !== undefined) return builtIn
  if (category === 'A') return ARRAY
  return type === 'e' ? TEXT : OTHER
}

export const KEY_TYPES = 'smallint, integer, bigint, text, varchar, char(n), uuid, numeric, boolean, date, timestamp, timestamptz and enums'

interface TypeRow {
  readonly name: string
  readonly type: string
  readonly category: string
}

const TYPES = `select format_type(f.oid, f.modifier) as name, t.typtype::text as type, t.typcategory::text as category
  from unnest($1::oid[], $2::int4[]) with ordinality as f(oid, modifier, n) join pg_catalog.pg_type t on t.oid = f.oid order by f.n`

/** The columns behind a row description. */
export async function typedColumns(client: pg.Client, fields: readonly pg.FieldDef[]): Promise<ModelColumn[]> {
  const values = [fields.map(({ dataTypeID }) => dataTypeID), fields.map(({ dataTypeModifier }) => dataTypeModifier)]
  const { rows } = await client.query<TypeRow>(TYPES, values)
  return fields.map((field, i) => {
    const row = rows[i] ?? { name: `type ${field.dataTypeID}`, type: 'b', category: 'X' }
    const traits = traitsOf(field.dataTypeID, row.type, row.category)
    return { name: field.name, kind: traits.kind, nativeType: row.name, traits }
  })
}
