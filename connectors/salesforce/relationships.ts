import { ConnectorError } from '../errors.ts'
import type { SalesforceField, SalesforceObject } from './object.ts'

/** `Account.Ext__c`, or `Contact:Who.Ext__c` where the lookup may point at several objects, as Bulk headers write it. */
const NAME = /^(?:(\w+):)?(\w+)\.(\w+)$/

export interface RelationshipName {
  /** Object of the related record; null where the relationship leads to one only. */
  readonly object: string | null
  readonly relationship: string
  readonly field: string
}

/** The parts of a mapped name that goes over a relationship; null for any other. */
export function relationshipName(name: string): RelationshipName | null {
  const parts = NAME.exec(name)
  return parts === null ? null : { object: parts[1] ?? null, relationship: parts[2] ?? '', field: parts[3] ?? '' }
}

/**
 * The object with a field for each mapped name that goes over a relationship (`Account.Ext__c`, `Contact:Who.Ext__c`), and the
 * lookup fields these stand for no longer required by themselves. Other names are left to the caller.
 */
export async function withRelationships(
  object: SalesforceObject,
  mapped: readonly string[],
  describe: (name: string) => Promise<SalesforceObject>,
): Promise<SalesforceObject> {
  const fields = new Map(object.fields)
  for (const name of mapped.filter((each) => each.includes('.'))) {
    const field = await relationshipField(object, name, describe)
    const rival = [...mapped].find((other) => other !== name && (other === field.lookup || fields.get(other)?.lookup === field.lookup))
    if (rival !== undefined)
      throw new ConnectorError('config', `${name} and ${rival} of ${object.name} are both mapped, but set the same lookup; leave one out`)
    fields.set(name, field)
    const lookup = object.fields.get(field.lookup)
    if (lookup !== undefined) fields.set(lookup.name, { ...lookup, requiredOnCreate: false })
  }
  return { ...object, fields }
}

/**
 * The field by which a related record is found: it takes what the external id of the other object takes and is written where the
 * lookup is. Throws `config` for a relationship or external id that is not there.
 */
async function relationshipField(
  object: SalesforceObject,
  name: string,
  describe: (name: string) => Promise<SalesforceObject>,
): Promise<SalesforceField & { readonly lookup: string }> {
  const parts = relationshipName(name)
  if (parts === null)
    throw new ConnectorError('config', `${name} is no field: write a related record's external id as Account.External_Id__c`)
  const lookup = [...object.fields.values()].find((field) => field.relationshipName === parts.relationship)
  if (lookup === undefined) {
    const known = [...object.fields.values()].flatMap((field) => field.relationshipName ?? [])
    throw new ConnectorError('config', `${object.name} has no relationship ${parts.relationship}; it has ${known.join(', ') || 'none'}`)
  }
  const target = await describe(targetOf(name, parts, lookup))
  const key = target.fields.get(parts.field)
  if (key?.externalId !== true) {
    const known = [...target.fields.values()].filter((field) => field.externalId).map((field) => field.name)
    throw new ConnectorError('config', `${parts.field} is no external id of ${target.name}; it has ${known.join(', ') || 'none'}`)
  }
  return {
    ...key,
    name,
    label: `${lookup.label}: ${key.label}`,
    writable: lookup.writable,
    requiredOnCreate: false,
    unique: false,
    createable: lookup.createable,
    updateable: lookup.updateable,
    nillable: lookup.nillable,
    externalId: false,
    enforcedUnique: false,
    lookup: lookup.name,
  }
}

function targetOf(name: string, { object, relationship, field }: RelationshipName, { referenceTo }: SalesforceField): string {
  if (object !== null && referenceTo.includes(object)) return object
  const [only, ...others] = referenceTo
  if (object === null && only !== undefined && others.length === 0) return only
  if (others.length === 0)
    throw new ConnectorError('config', `${name}: ${relationship} leads to ${only ?? 'no object'}; write ${relationship}.${field}`)
  throw new ConnectorError(
    'config',
    `${name}: ${relationship} may lead to ${referenceTo.join(', ')}; say to which, for example ${only ?? ''}:${relationship}.${field}`,
  )
}
