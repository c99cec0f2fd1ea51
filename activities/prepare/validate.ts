import type { Column, Destination, FieldDescription, ObjectDescription } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { nearestFirst } from '../../connectors/nearest.ts'
import type { SyncSpec } from '../../state/spec.ts'
import { compileMapping } from '../plan/map.ts'
import { escapePointer } from '../references.ts'
import { usedColumns } from '../definition.ts'
import { templateColumns } from '../plan/template.ts'

export interface Problem {
  /** JSON pointer into the sync's document. */
  readonly pointer: string
  readonly message: string
}

/**
 * Everything about a sync that can be known before a byte is sent, given the model's columns and the destination's object
 * (null: it takes any field). Pure. Empty: the sync can run.
 */
export function validateSync({
  spec,
  primaryKey,
  columns,
  object,
  destination,
}: {
  spec: SyncSpec
  primaryKey: readonly string[]
  columns: readonly Column[]
  object: ObjectDescription | null
  destination: Pick<Destination, 'encoder' | 'clear'>
}): Problem[] {
  const names = columns.map((column) => column.name)
  const problems: Problem[] = []
  for (const key of primaryKey) {
    if (!names.includes(key))
      problems.push({ pointer: '/primaryKey', message: `the model has no column ${key}; ${theRest('it has', names, key)}` })
  }
  for (const column of usedColumns(spec, templateColumns)) {
    if (!names.includes(column))
      problems.push({ pointer: `/fields`, message: `the model has no column ${column}; ${theRest('it has', names, column)}` })
  }
  if (object) problems.push(...fieldProblems(spec, object))
  if (problems.length > 0) return problems
  try {
    compileMapping({ spec, columns, fields: object?.fields ?? null, destination })
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    problems.push({ pointer: '/fields', message: error.message })
  }
  return problems
}

function fieldProblems(spec: SyncSpec, object: ObjectDescription): Problem[] {
  const fields = new Map(object.fields.map((field) => [field.name, field]))
  const problems: Problem[] = []
  for (const name of Object.keys(spec.fields)) {
    const field = fields.get(name)
    const pointer = `/fields/${escapePointer(name)}`
    if (!field)
      problems.push({ pointer, message: `${object.name} has no field ${name}; ${theRest('near names are', [...fields.keys()], name)}` })
    else if (!field.writable && name !== spec.match) problems.push({ pointer, message: `${name} of ${object.name} is read-only` })
  }
  const match = spec.match === undefined ? undefined : fields.get(spec.match)
  if (match && !match.unique) {
    const unique = object.fields.filter((field) => field.unique).map((field) => field.name)
    problems.push({
      pointer: '/match',
      message: `${match.name} of ${object.name} is not unique, so records could not be told apart; ${unique.length > 0 ? `unique fields are ${unique.join(', ')}` : 'it has no unique field yet'}`,
    })
  }
  if (spec.mode === 'upsert' || spec.mode === 'insert' || spec.mode === 'mirror') problems.push(...missingRequired(spec, object.fields))
  return problems
}

function missingRequired(spec: SyncSpec, fields: readonly FieldDescription[]): Problem[] {
  return fields
    .filter((field) => field.requiredOnCreate && !(field.name in spec.fields))
    .map((field) => ({ pointer: '/fields', message: `${field.name} is required to create a record; map it, or use mode update` }))
}

/** The nearest few names first; all of them when they are few. */
function theRest(lead: string, names: readonly string[], wanted: string): string {
  const near = nearestFirst(wanted, names)
  const shown = near.length <= 12 ? near : near.slice(0, 5)
  return shown.length === 0 ? 'it has none' : `${lead} ${shown.join(', ')}${shown.length < near.length ? ', …' : ''}`
}
