import type { BatchReadInputSimplePublicObjectId as ReadInput } from '@hubspot/api-client/lib/codegen/crm/objects/index.js'
import type { RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { HubspotClient } from './client.ts'
import { foldMatch } from './compare.ts'
import { RECORD_ID } from './describe.ts'
import { readRefusal } from './envelope.ts'
import { isObject, objectAt, objectsAt, textAt, textsAt } from '../json-object.ts'
import type { HubspotRecord } from './record.ts'

/** A record as HubSpot holds it. */
export interface Stored {
  readonly id: string
  readonly properties: ReadonlyMap<string, string>
  /** It answers to the match value only by an additional e-mail address, left by a merge; its own address is another one. */
  readonly alias: boolean
}

/** Further addresses of a contact: a look-up by one of them finds it, though its `email` is another. */
const ADDITIONAL_EMAILS = 'hs_additional_emails'

export interface LookUp {
  readonly client: HubspotClient
  readonly type: string
  readonly match: string
  readonly records: readonly HubspotRecord[]
  readonly properties: readonly string[]
  readonly gate: RequestGate
}

/**
 * Reads records by their match values (batch/read, at most 100): folded match value → record; what is not there is absent. HubSpot
 * names missing ones in a 207. What an answer does not mention at all is asked for once more, and is absent only if it is passed over
 * again (invariant 8: an absence that is not true would create a record twice, or remove none). Throws `config` if the match field is
 * not unique, `refused` if the call as a whole was refused, `unreachable` for an answer without results.
 */
export async function lookUp(wanted: LookUp): Promise<ReadonlyMap<string, Stored>> {
  const { found, missing } = await ask(wanted)
  const passedOver = wanted.records.filter(({ folded }) => !found.has(folded) && !missing.has(folded))
  if (passedOver.length === 0) return found
  return new Map([...found, ...(await ask({ ...wanted, records: passedOver })).found])
}

interface Answer {
  readonly found: ReadonlyMap<string, Stored>
  /** Folded match values that the answer says nobody has. */
  readonly missing: ReadonlySet<string>
}

async function ask({ client, type, match, records, properties, gate }: LookUp): Promise<Answer> {
  const byEmail = type === 'contacts' && match === 'email'
  const asked = [...new Set([match, ...properties, ...(byEmail ? [ADDITIONAL_EMAILS] : [])])]
  const idProperty = match === RECORD_ID ? {} : { idProperty: match }
  const body: Omit<ReadInput, 'inputs'> & { readonly inputs: readonly { readonly id: string }[] } = {
    ...idProperty,
    properties: asked,
    propertiesWithHistory: [],
    inputs: records.map((record) => ({ id: record.match })),
  }
  const path = `/crm/v3/objects/${encodeURIComponent(type)}/batch/read`
  const reply = await client.call({ method: 'POST', path, body, gate, what: `a look-up of ${type} by ${match}`, writes: false })
  if (reply.status >= 400) throw lookUpRefused(reply.status, reply.body, type, match)
  if (!Array.isArray(reply.body?.['results']))
    throw new ConnectorError('unreachable', `HubSpot answered ${reply.status} to a look-up of ${type} without any results`)

  const found = new Map<string, Stored>()
  for (const result of objectsAt(reply.body, 'results')) {
    const id = textAt(result, 'id')
    const held = texts(objectAt(result, 'properties'))
    if (id === null || result['archived'] === true) continue
    const own = match === RECORD_ID ? id : held.get(match)
    const aliases = byEmail ? (held.get(ADDITIONAL_EMAILS) ?? '').split(';') : []
    for (const alias of aliases) if (alias !== '') found.set(foldMatch(alias), { id, properties: held, alias: true })
    if (typeof own === 'string') found.set(foldMatch(own), { id, properties: held, alias: false })
  }
  const missing = objectsAt(reply.body, 'errors').flatMap((error) => textsAt(objectAt(error, 'context'), 'ids').map(foldMatch))
  return { found, missing: new Set(missing) }
}

function texts(properties: unknown): Map<string, string> {
  const out = new Map<string, string>()
  if (!isObject(properties)) return out
  for (const [name, value] of Object.entries(properties)) if (typeof value === 'string') out.set(name, value)
  return out
}

function lookUpRefused(status: number, body: Parameters<typeof readRefusal>[0], type: string, match: string): ConnectorError {
  const { code } = readRefusal(body)
  if (/unique/i.test(textAt(body, 'message') ?? '')) {
    return new ConnectorError('config', `HubSpot cannot look up ${type} by ${match}: the property is not unique`, { code })
  }
  return new ConnectorError('refused', `HubSpot refused a look-up of ${type} by ${match} (${status} ${code})`, { code })
}
