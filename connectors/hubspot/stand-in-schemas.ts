import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'
import { objectAt, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'
import type { Account } from './stand-in-account.ts'
import { invalid, notFound, Refusal } from './stand-in-answers.ts'
import type { Property } from './stand-in-properties.ts'
import { PORTAL_ID, property } from './stand-in-seed.ts'
import type { ObjectStore } from './stand-in-store.ts'

const MAX_UNIQUE = 10

/** `/crm/v3/properties/{type}[/{name}]`: list, read, create, archive. */
export function properties(store: ObjectStore, method: string, name: string | null, body: JsonObject): StandInAnswer {
  if (name === null && method === 'GET')
    return jsonAnswer(200, { results: [...store.properties.values()].filter(({ archived }) => !archived) })
  if (name === null && method === 'POST') {
    const made = propertyFrom(body)
    if (store.properties.has(made.name)) throw new Refusal(409, 'CONFLICT', `Property already exists: ${made.name}`)
    if (made.hasUniqueValue) requireUniquePossible(store)
    store.properties.set(made.name, made)
    return jsonAnswer(201, made)
  }
  const found = store.properties.get(name ?? '')
  if (found === undefined) throw notFound(`Property "${name}" does not exist`)
  if (method === 'GET') return jsonAnswer(200, found)
  if (method !== 'DELETE') throw notFound('no such call')
  if (!found.modificationMetadata.archivable || found.hubspotDefined) throw invalid(`"${found.name}" cannot be archived`)
  store.properties.set(found.name, { ...found, archived: true })
  return { status: 204 }
}

/** `/crm/v3/schemas`: custom objects. */
export function schemas(account: Account, method: string, body: JsonObject): StandInAnswer {
  if (method === 'GET') return jsonAnswer(200, { results: account.schemas })
  const name = textAt(body, 'name')
  if (method !== 'POST' || name === null) throw invalid('Invalid input JSON: a schema needs a name')
  if (account.store(name) !== undefined) throw new Refusal(409, 'CONFLICT', `An object type named ${name} already exists`)
  const labels = objectAt(body, 'labels')
  const schema = {
    objectTypeId: `2-${account.nextId()}`,
    name,
    fullyQualifiedName: `p${PORTAL_ID}_${name}`,
    labels: { singular: textAt(labels, 'singular') ?? name, plural: textAt(labels, 'plural') ?? name },
    primaryDisplayProperty: textAt(body, 'primaryDisplayProperty') ?? '',
    requiredProperties: textsAt(body, 'requiredProperties'),
    searchableProperties: textsAt(body, 'searchableProperties'),
    archived: false,
  }
  account.addObject(schema, objectsAt(body, 'properties').map(propertyFrom))
  return jsonAnswer(201, schema)
}

function propertyFrom(body: JsonObject): Property {
  const [name, type, fieldType] = [textAt(body, 'name'), textAt(body, 'type'), textAt(body, 'fieldType')]
  if (name === null || type === null || fieldType === null) throw invalid('Invalid input JSON: a property needs name, type and fieldType')
  const options = objectsAt(body, 'options').map((option, index) => {
    const value = textAt(option, 'value') ?? ''
    return { label: textAt(option, 'label') ?? value, value, hidden: option['hidden'] === true, displayOrder: index }
  })
  const label = textAt(body, 'label') ?? name
  return property({
    name,
    type,
    fieldType,
    label,
    groupName: textAt(body, 'groupName') ?? 'custom',
    options,
    hasUniqueValue: body['hasUniqueValue'] === true,
  })
}

function requireUniquePossible(store: ObjectStore): void {
  if (store.type === 'products') throw invalid('products cannot have a unique property')
  const unique = [...store.properties.values()].filter(({ hasUniqueValue }) => hasUniqueValue).length
  if (unique >= MAX_UNIQUE) throw invalid(`an object can have ${MAX_UNIQUE} unique properties at most`)
}
