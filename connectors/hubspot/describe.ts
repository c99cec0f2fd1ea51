import type { FieldDescription, ObjectDescription, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { HubspotClient } from './client.ts'
import { objectAt, objectsAt, textAt, type JsonObject } from '../json-object.ts'
import { EMAIL, MULTIPLE } from './fields.ts'
import { MAX_TEXT } from './limits.ts'
import { resolveObject, type HubspotObject } from './objects.ts'

/** Asks for an object's properties. Throws `config` naming near objects if there is none of that name. */
export async function describeObject(client: HubspotClient, name: string, gate: RequestGate): Promise<ObjectDescription> {
  const object = await resolveObject(client, name, gate)
  return { name, fields: await describeProperties(client, object, gate) }
}

export async function describeProperties(client: HubspotClient, object: HubspotObject, gate: RequestGate): Promise<FieldDescription[]> {
  const path = `/crm/v3/properties/${encodeURIComponent(object.type)}`
  const { status, body } = await client.call({ method: 'GET', path, gate, what: `the properties of ${object.type}`, writes: false })
  if (status !== 200)
    throw new ConnectorError('config', `HubSpot answered ${status} to the properties of ${object.type}`, { code: String(status) })
  return objectsAt(body, 'results').flatMap((property) => describeProperty(property, object) ?? [])
}

/** One property as a field; null for an answer without a name. */
export function describeProperty(property: JsonObject, object: HubspotObject): FieldDescription | null {
  const name = textAt(property, 'name')
  if (name === null) return null
  const kind = textAt(property, 'type') ?? 'string'
  const type = typeOf(name, kind, textAt(property, 'fieldType'), object)
  const readOnly = objectAt(property, 'modificationMetadata')?.['readOnlyValue'] === true
  const options =
    kind === 'enumeration' && property['externalOptions'] !== true
      ? objectsAt(property, 'options').flatMap((option) => textAt(option, 'value') ?? [])
      : null
  return {
    name,
    label: textAt(property, 'label') ?? name,
    type,
    writable: property['calculated'] !== true && !readOnly && property['archived'] !== true,
    requiredOnCreate: object.required.includes(name),
    // The record id identifies a record too, though only for update: it cannot be chosen.
    unique: property['hasUniqueValue'] === true || object.unique.includes(name) || name === RECORD_ID,
    ...(options === null ? {} : { options }),
    ...(kind === 'string' && type !== EMAIL ? { maxLength: MAX_TEXT } : {}),
  }
}

/** HubSpot's own id of a record. */
export const RECORD_ID = 'hs_object_id'

function typeOf(name: string, kind: string, fieldType: string | null, object: HubspotObject): string {
  if (object.type === 'contacts' && name === 'email') return EMAIL
  return kind === 'enumeration' && fieldType === 'checkbox' ? MULTIPLE : kind
}
