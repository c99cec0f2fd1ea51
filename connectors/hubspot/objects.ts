import { ConnectorError } from '../errors.ts'
import type { RequestGate } from '../contract.ts'
import { nearest } from '../nearest.ts'
import type { HubspotClient } from './client.ts'
import { objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'

/** An object as the paths of the API name it. */
export interface HubspotObject {
  readonly type: string
  /** Properties that a new record must have. Where HubSpot asks for one of several (contacts, companies) none is listed. */
  readonly required: readonly string[]
  /** Unique without `hasUniqueValue`: built-in ones, seen live by others. Companies, deals and custom objects have none. */
  readonly unique: readonly string[]
}

const STANDARD: readonly HubspotObject[] = [
  { type: 'contacts', required: [], unique: ['email'] },
  { type: 'companies', required: [], unique: [] },
  { type: 'deals', required: ['dealname', 'dealstage'], unique: [] },
  { type: 'tickets', required: ['subject', 'hs_pipeline_stage'], unique: ['hs_external_object_ids'] },
  { type: 'products', required: [], unique: ['hs_sku'] },
  { type: 'line_items', required: [], unique: ['hs_external_id'] },
]

/** The standard object of that name; null if it can only be a custom one. */
export function standardObject(name: string): HubspotObject | null {
  return STANDARD.find(({ type }) => type === name) ?? null
}

/** The object by its name, full name or type id (`2-123`). Throws `config` with the nearest names if there is none. */
export async function resolveObject(client: HubspotClient, name: string, gate: RequestGate): Promise<HubspotObject> {
  const standard = standardObject(name)
  if (standard) return standard
  const { status, body } = await client.call({
    method: 'GET',
    path: '/crm/v3/schemas',
    gate,
    what: 'the list of custom objects',
    writes: false,
  })
  if (status !== 200)
    throw new ConnectorError('destination', `HubSpot answered ${status} to the list of custom objects`, { code: String(status) })
  const schemas = objectsAt(body, 'results')
  const wanted = name.toLowerCase()
  const schema = schemas.find((candidate) => namesOf(candidate).some((text) => text.toLowerCase() === wanted))
  const type = textAt(schema ?? null, 'objectTypeId')
  if (schema !== undefined && type !== null) return { type, required: textsAt(schema, 'requiredProperties'), unique: [] }
  const all = [...STANDARD.map((object) => object.type), ...schemas.flatMap((candidate) => textAt(candidate, 'name') ?? [])]
  throw new ConnectorError('config', `HubSpot has no object ${name}; the nearest names are ${nearest(name, all).join(', ')}`)
}

function namesOf(schema: JsonObject): string[] {
  const name = textAt(schema, 'name')
  return [name, name === null ? null : `p_${name}`, textAt(schema, 'fullyQualifiedName'), textAt(schema, 'objectTypeId')].filter(
    (text) => text !== null,
  )
}
