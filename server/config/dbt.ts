import { isObject } from '../../connectors/json-object.ts'
import { nearestNames } from './nearest.ts'

/** Pure: what a dbt manifest (`target/manifest.json`, versions 4 to 12) says of one model. */
export interface DbtModel {
  /** `model.<package>.<name>`, for a version of a model `model.<package>.<name>.v2`. */
  readonly id: string
  /** The relation that it builds, quoted for its warehouse. */
  readonly relation: string
  /** Columns that the project names; it need not name all. */
  readonly columns: readonly DbtColumn[]
  /** Which of the generic tests that a primary key should have it has. */
  readonly tests: readonly DbtTest[]
}

interface DbtColumn {
  readonly name: string
  readonly type: string | null
  readonly description: string
}

/** `unique` over one column or, as dbt_utils.unique_combination_of_columns, over several. */
interface DbtTest {
  readonly test: 'unique' | 'not_null'
  readonly columns: readonly string[]
}

/** `wanted` is a model's name, or its unique id where packages share a name. */
export function findDbtModel(manifest: unknown, wanted: string): DbtModel | { readonly wrong: string } {
  const nodes = recordsIn(isObject(manifest) ? manifest['nodes'] : null)
  const models = nodes.filter(([, node]) => node['resource_type'] === 'model')
  const found = models.filter(([id, node]) => node['name'] === wanted || id === wanted)
  const [model] = found
  if (model === undefined) {
    const names = models.map(([, node]) => String(node['name']))
    const there = names.length === 0 ? 'it has none at all' : `there are ${nearestNames(wanted, names)}`
    return { wrong: `the manifest has no model "${wanted}"; ${there}` }
  }
  if (found.length > 1)
    return { wrong: `the manifest has several models "${wanted}": name one by its id, ${found.map(([id]) => id).join(' or ')}` }
  const [id, node] = model
  const relation = relationOf(node)
  if (relation === null) return { wrong: `the model "${wanted}" is ephemeral: dbt builds no relation that could be read` }
  const columns = recordsIn(node['columns']).map(([name, column]) => ({
    name: textOf(column['name']) ?? name,
    type: textOf(column['data_type']),
    description: textOf(column['description']) ?? '',
  }))
  return { id, relation, columns, tests: nodes.flatMap(([, test]) => testOf(test, id)) }
}

/** Which tests of a primary key the project lacks; empty: it is tested to be one. dbt compares names of columns as the warehouse does. */
export function missingKeyTests({ tests }: DbtModel, primaryKey: readonly string[]): string[] {
  const key = primaryKey.map((name) => name.toLowerCase()).sort()
  const has = (test: DbtTest['test'], columns: readonly string[]): boolean =>
    tests.some((known) => known.test === test && [...known.columns].sort().join('\0') === columns.join('\0'))
  const unique = has('unique', key) || key.some((name) => has('unique', [name]))
  return [
    ...(unique ? [] : [`unique (${primaryKey.join(', ')})`]),
    ...key.filter((name) => !has('not_null', [name])).map((name) => `not_null (${name})`),
  ]
}

function relationOf(node: Record<string, unknown>): string | null {
  const given = textOf(node['relation_name'])
  if (given !== null) return given
  if (isObject(node['config']) && node['config']['materialized'] === 'ephemeral') return null
  const parts = [node['database'], node['schema'], node['alias'] ?? node['name']].map(textOf)
  return parts.flatMap((part) => (part === null || part === '' ? [] : [`"${part.replaceAll('"', '""')}"`])).join('.')
}

/** A generic test of a model as a whole: one that is turned off, or looks at some rows only, proves nothing. */
function testOf(node: Record<string, unknown>, model: string): DbtTest[] {
  const metadata = node['test_metadata']
  if (node['resource_type'] !== 'test' || !isObject(metadata)) return []
  const dependsOn = isObject(node['depends_on']) ? node['depends_on']['nodes'] : null
  const attached = textOf(node['attached_node'])
  if (attached === null ? !(Array.isArray(dependsOn) && dependsOn.length === 1 && dependsOn[0] === model) : attached !== model) return []
  const config = isObject(node['config']) ? node['config'] : {}
  if (config['enabled'] === false || textOf(config['where']) !== null) return []
  const given = isObject(metadata['kwargs']) ? metadata['kwargs'] : {}
  const combination = given['combination_of_columns']
  if (metadata['name'] === 'unique_combination_of_columns' && Array.isArray(combination))
    return [{ test: 'unique', columns: combination.map((name) => String(name).toLowerCase()) }]
  const column = textOf(node['column_name']) ?? textOf(given['column_name'])
  const { name } = metadata
  return column !== null && (name === 'unique' || name === 'not_null') ? [{ test: name, columns: [column.toLowerCase()] }] : []
}

function recordsIn(value: unknown): [string, Record<string, unknown>][] {
  return isObject(value) ? Object.entries(value).flatMap(([key, entry]) => (isObject(entry) ? [[key, entry]] : [])) : []
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
