import type pg from 'pg'
import { textKey, type ModelColumn, type TypeTraits } from '../pgwire/columns.ts'

const INTEGER: TypeTraits = { kind: 'integer', key: { part: 'int64', own: true, sql: (column) => column } }
const TEXT: TypeTraits = { kind: 'text', key: textKey((column) => column, true) }
const OTHER: TypeTraits = { kind: 'other', key: null }

/**
 * A number's text without its trailing zeros, so that a changed scale of the column changes no key. A cast to varchar cuts nothing
 * here: its default of 256 is longer than any number or date.
 */
const NUMBER = (column: string): string =>
  `case when position('.' in ${column}::varchar) > 0 then rtrim(rtrim(${column}::varchar, '0'), '.') else ${column}::varchar end`

/**
 * By object id: Redshift's types are fixed, its catalog need not be asked. Ids and names as Amazon's JDBC driver has them; SUPER is
 * sent as JSON, VARBYTE as bare hex digits (amazon-redshift-python-driver). A `real` comes with 8 digits, the most that
 * extra_float_digits allows there: cast it to double precision in the model where the ninth matters.
 */
const TYPES: ReadonlyMap<number, readonly [name: string, traits: TypeTraits]> = new Map([
  // A boolean has no cast to varchar.
  [
    16,
    ['boolean', { kind: 'boolean', key: textKey((column) => `case when ${column} then 'true' when not ${column} then 'false' end`, true) }],
  ],
  [18, ['"char"', OTHER]],
  [19, ['name', TEXT]],
  [20, ['bigint', INTEGER]],
  [21, ['smallint', INTEGER]],
  [23, ['integer', INTEGER]],
  [25, ['text', TEXT]],
  [26, ['oid', { kind: 'integer', key: null }]],
  [700, ['real', { kind: 'float', key: null }]],
  [701, ['double precision', { kind: 'float', key: null }]],
  // Blanks at the end of a char(n) are padding: 'a' and 'a ' are one.
  [1042, ['char', { kind: 'text', key: textKey((column) => `rtrim(${column})`, false) }]],
  [1043, ['varchar', TEXT]],
  [1082, ['date', { kind: 'date', key: textKey((column) => `${column}::varchar`, true) }]],
  [1083, ['time', OTHER]],
  // Not by a regular expression: whether a backslash has to be doubled in a literal differs between servers.
  [1114, ['timestamp', { kind: 'timestamp', key: textKey((column) => `replace(${column}::varchar, ' ', 'T')`, true) }]],
  [
    1184,
    ['timestamptz', { kind: 'timestamptz', key: textKey((column) => `replace(replace(${column}::varchar, ' ', 'T'), '+00', 'Z')`, true) }],
  ],
  [1188, ['interval year to month', OTHER]],
  [1190, ['interval day to second', OTHER]],
  [1266, ['timetz', OTHER]],
  [1700, ['numeric', { kind: 'decimal', key: textKey(NUMBER, false) }]],
  [3000, ['geometry', OTHER]],
  [3001, ['geography', OTHER]],
  [4000, ['super', { kind: 'json', key: null }]],
  [6551, ['varbyte', { kind: 'bytes', key: null }]],
])

export const KEY_TYPES = 'smallint, integer, bigint, varchar, char(n), numeric, boolean, date, timestamp and timestamptz'

export function typedColumn({ name, dataTypeID }: pg.FieldDef): ModelColumn {
  const [nativeType, traits] = TYPES.get(dataTypeID) ?? [`type ${dataTypeID}`, OTHER]
  return { name, kind: traits.kind, nativeType, traits }
}
