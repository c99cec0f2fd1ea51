import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { notFound, Refusal } from './stand-in-answers.ts'
import { bodyOf, rulesOf } from './stand-in-collections.ts'
import type { Org, Saved } from './stand-in-org.ts'
import type { ObjectStore, StoredObject } from './stand-in-store.ts'

/** `/sobjects/{object}/{id}` and `/sobjects/{object}/{external id field}/{value}`: one record. */
export function single(org: Org, store: ObjectStore, request: StandInRequest, first: string | null, value: string | null): StandInAnswer {
  if (first === null) {
    if (request.method !== 'POST') throw notFound()
    return saved(org.create(store, bodyOf(request), rulesOf(request)), 201)
  }
  if (value !== null) return external(org, store, request, first, value)
  const record = store.byId(first)
  if (record === undefined) {
    if (store.wasDeleted(first)) throw new Refusal(404, 'ENTITY_IS_DELETED', 'entity is deleted')
    throw notFound('Provided external ID field does not exist or is not accessible')
  }
  return one(org, store, request, record)
}

function external(org: Org, store: ObjectStore, request: StandInRequest, name: string, value: string): StandInAnswer {
  const field = org.field(store, name)
  if (field?.externalId !== true) throw notFound(`Provided external ID field does not exist or is not accessible: ${name}`)
  const found = store.holding(field, value)
  if (found.length > 1)
    return jsonAnswer(
      300,
      found.map(({ id }) => `/services/data/v66.0/sobjects/${store.name}/${id}`),
    )
  const [record] = found
  if (request.method === 'PATCH') {
    const result = org.upsert(store, field, { ...bodyOf(request), [field.name]: value }, rulesOf(request))
    return saved(result, result.success && result.created ? 201 : 200)
  }
  if (record === undefined) throw notFound()
  return one(org, store, request, record)
}

function one(org: Org, store: ObjectStore, request: StandInRequest, record: StoredObject): StandInAnswer {
  switch (request.method) {
    case 'GET':
      return jsonAnswer(200, {
        attributes: { type: store.name, url: `/services/data/v66.0/sobjects/${store.name}/${record.id}` },
        ...store.shown(record),
      })
    case 'PATCH': {
      const result = org.update(store, record.id, bodyOf(request), rulesOf(request))
      return result.success ? { status: 204 } : saved(result, 400)
    }
    case 'DELETE': {
      const result = org.remove(record.id)
      return result.success ? { status: 204 } : saved(result, 400)
    }
    default:
      throw new Refusal(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${request.method}' not allowed`)
  }
}

function saved(result: Saved, status: number): StandInAnswer {
  if (result.success) return jsonAnswer(status, { id: result.id, success: true, errors: [], created: result.created })
  return jsonAnswer(
    400,
    result.errors.map(({ statusCode, message, fields }) => ({ message, errorCode: statusCode, fields })),
  )
}
