import type { ObjectDescription, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { isObject, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'
import type { SalesforceClient } from './client.ts'
import type { SalesforceField, SalesforceObject } from './object.ts'

/** Asks for an object. Throws `config` naming near objects if there is none of that name, or none that this user may see. */
export async function describeObject(client: SalesforceClient, name: string, gate: RequestGate): Promise<SalesforceObject> {
  const path = `/sobjects/${encodeURIComponent(name)}/describe`
  const { status, body } = await client.call({ method: 'GET', path, gate, what: `the description of ${name}`, writes: false })
  if (status === 404) throw await unknownObject(client, name, gate)
  if (status !== 200)
    throw new ConnectorError('config', `Salesforce answered ${status} to the description of ${name}`, { code: String(status) })
  if (!isObject(body)) throw new ConnectorError('unreachable', `Salesforce answered the description of ${name} with something that is none`)
  const fields = objectsAt(body, 'fields').flatMap((field) => readField(field) ?? [])
  return {
    // As Salesforce writes it: paths take any case, results do not.
    name: textAt(body, 'name') ?? name,
    keyPrefix: textAt(body, 'keyPrefix'),
    createable: body['createable'] === true,
    updateable: body['updateable'] === true,
    deletable: body['deletable'] === true,
    fields: new Map(fields.map((field) => [field.name, field])),
  }
}

export function described(object: SalesforceObject): ObjectDescription {
  return { name: object.name, fields: [...object.fields.values()] }
}

/** One field of a describe answer; null for one without a name. */
export function readField(field: JsonObject): SalesforceField | null {
  const name = textAt(field, 'name')
  if (name === null) return null
  const is = (key: string): boolean => field[key] === true
  const number = (key: string): number => (typeof field[key] === 'number' ? field[key] : 0)
  const type = textAt(field, 'type') ?? 'string'
  const closed = is('restrictedPicklist')
  const options = objectsAt(field, 'picklistValues').flatMap((value) => (value['active'] === true ? (textAt(value, 'value') ?? []) : []))
  const length = number('length')
  return {
    name,
    label: textAt(field, 'label') ?? name,
    type,
    writable: is('createable') || is('updateable'),
    requiredOnCreate: is('createable') && !is('nillable') && !is('defaultedOnCreate'),
    // Records are looked up by an external id whether or not Salesforce keeps it unique; `review` warns where it does not.
    unique: is('unique') || is('externalId') || type === 'id',
    caseSensitive: is('caseSensitive') || type === 'id',
    ...(closed ? { options } : {}),
    ...(length > 0 ? { maxLength: length } : {}),
    createable: is('createable'),
    updateable: is('updateable'),
    nillable: is('nillable'),
    externalId: is('externalId'),
    enforcedUnique: is('unique') || type === 'id',
    precision: number('precision'),
    scale: number('scale'),
    relationshipName: textAt(field, 'relationshipName'),
    referenceTo: textsAt(field, 'referenceTo'),
    lookup: null,
  }
}

async function unknownObject(client: SalesforceClient, name: string, gate: RequestGate): Promise<ConnectorError> {
  const { body } = await client.call({ method: 'GET', path: '/sobjects', gate, what: 'the list of objects', writes: false })
  const names = objectsAt(isObject(body) ? body : null, 'sobjects').flatMap((object) => textAt(object, 'name') ?? [])
  return new ConnectorError(
    'config',
    `Salesforce has no object ${name}, or this user may not see it; the nearest names are ${nearest(name, names).join(', ')}`,
  )
}
