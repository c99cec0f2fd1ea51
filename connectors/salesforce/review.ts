import type { Remark, Use } from '../contract.ts'
import type { SalesforceObject } from './object.ts'

/** What mode, match field and mapped fields mean for an object, beyond what each field says of itself. Pure. */
export function reviewUse(object: SalesforceObject, { mode, match, fields }: Use): Remark[] {
  return [...reviewMode(object, mode), ...reviewMatch(object, mode, match), ...reviewFields(object, { mode, match, fields })]
}

function reviewMode(object: SalesforceObject, mode: Use['mode']): Remark[] {
  const may = { create: object.createable, update: object.updateable, delete: object.deletable }
  const needs = {
    upsert: ['create', 'update'],
    update: ['update'],
    insert: ['create'],
    mirror: ['create', 'update', 'delete'],
  } as const
  return needs[mode]
    .filter((verb) => !may[verb])
    .map((verb) => ({
      level: 'error',
      about: 'mode',
      message: `${mode} has to ${verb} records, which this user may not do with ${object.name}`,
    }))
}

function reviewMatch(object: SalesforceObject, mode: Use['mode'], match: string | null): Remark[] {
  const field = match === null ? undefined : object.fields.get(match)
  if (field === undefined || !field.unique) return []
  const error = (message: string): Remark[] => [{ level: 'error', about: 'match', message }]
  if (field.type === 'id') {
    if (mode !== 'update')
      return error(`${field.name} can be the match field in update mode only: Salesforce chooses the ids of new records`)
    return []
  }
  if ((mode === 'upsert' || mode === 'mirror') && !field.externalId)
    return error(
      `${mode} needs an external id field to match by; ${field.name} is unique only. Tick "External ID" in its definition, or use mode update or insert`,
    )
  if (mode !== 'update' && !field.createable) return error(`${field.name} cannot be set on new records, so ${mode} cannot match by it`)
  if (field.enforcedUnique) return []
  if (mode === 'insert') return error(`insert needs a unique match field: tick "Unique" in the definition of ${field.name}`)
  return [
    {
      level: 'warning',
      about: 'match',
      message: `${field.name} is an external id but not unique: Salesforce refuses every record whose value two of its records hold. Tick "Unique" in its definition`,
    },
  ]
}

/** A field that can be set on new records only, or on existing ones only, refuses the record in the other case. */
function reviewFields(object: SalesforceObject, { mode, match, fields }: Omit<Use, 'object'>): Remark[] {
  return fields.flatMap((name): Remark[] => {
    const field = object.fields.get(name)
    if (field === undefined || !field.writable || name === match) return []
    const missing = mode !== 'insert' && !field.updateable ? 'existing' : mode !== 'update' && !field.createable ? 'new' : null
    if (missing === null) return []
    return [
      {
        level: 'error',
        about: { field: name },
        message: `${name} of ${object.name} cannot be written on ${missing} records, which mode ${mode} has to do`,
      },
    ]
  })
}
