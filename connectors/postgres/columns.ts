import type pg from 'pg'
import { distance } from 'fastest-levenshtein'
import type { Column } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { traitsOf, type TypeTraits } from './types.ts'

/** A column of the model with what reading it takes. */
export interface ModelColumn extends Column {
  readonly traits: TypeTraits
}

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

/** Pure. Throws `config` with the nearest name and all names there are; so it does for a name that two columns have. */
export function findColumn(columns: readonly ModelColumn[], name: string): ModelColumn {
  const [found, twin] = columns.filter((column) => column.name === name)
  if (twin !== undefined) throw new ConnectorError('config', `the model has more than one column "${name}"; give them different names`)
  if (found !== undefined) return found
  const names = columns.map((column) => column.name)
  const nearest = names.reduce((best, other) => (distance(name, other) < distance(name, best) ? other : best), names[0] ?? '')
  throw new ConnectorError('config', `the model has no column "${name}"; the nearest is "${nearest}". Its columns: ${names.join(', ')}`)
}
