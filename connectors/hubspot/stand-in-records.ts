import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'
import type { Account } from './stand-in-account.ts'
import { answerOf, textsOf } from './stand-in-batch.ts'
import { checkInput, findFor } from './stand-in-inputs.ts'
import { invalid, notFound, Refusal } from './stand-in-answers.ts'
import type { ObjectStore, StoredObject } from './stand-in-store.ts'

/** `/crm/v3/objects/{type}[/{id}]` for one record; unlike the batch calls these follow a merged-away id to the survivor. */
export function single(account: Account, store: ObjectStore, request: StandInRequest, id: string | null, body: JsonObject): StandInAnswer {
  const asked = (request.query.get('properties') ?? '').split(',').filter((name) => name !== '')
  if (id === null) {
    if (request.method === 'POST') return create(account, store, body)
    if (request.method !== 'GET') throw notFound('no such call')
    const after = Number(request.query.get('after') ?? 0)
    const limit = Number(request.query.get('limit') ?? 10)
    const page = [...store.all()].slice(after, after + limit)
    const next = after + limit < store.size ? { paging: { next: { after: String(after + limit) } } } : {}
    return jsonAnswer(200, { results: page.map((record) => answerOf(store, record, asked)), ...next })
  }
  if (request.method === 'DELETE') {
    account.archive(store, id)
    return { status: 204 }
  }
  const idProperty = request.query.get('idProperty')
  if (idProperty !== null && !store.isUnique(idProperty))
    throw invalid(`Unable to perform update/upsert by non-unique ${store.typeId} property ${idProperty}`)
  const record = idProperty === null ? store.byId(id, true) : findFor(store, id, idProperty)
  if (record === undefined) throw notFound('resource not found')
  return request.method === 'PATCH' ? update(account, store, record, body) : jsonAnswer(200, answerOf(store, record, asked))
}

function create(account: Account, store: ObjectStore, body: JsonObject): StandInAnswer {
  const properties = textsOf(body)
  const holder = store.type === 'contacts' ? store.byUnique('email', properties['email'] ?? '') : undefined
  if (holder !== undefined) throw new Refusal(409, 'CONFLICT', `Contact already exists. Existing ID: ${holder.id}`)
  return jsonAnswer(201, apply(account, store, undefined, body, properties))
}

function update(account: Account, store: ObjectStore, record: StoredObject, body: JsonObject): StandInAnswer {
  return jsonAnswer(200, apply(account, store, record, body, textsOf(body)))
}

function apply(
  account: Account,
  store: ObjectStore,
  record: StoredObject | undefined,
  input: JsonObject,
  properties: Record<string, string>,
): JsonObject {
  const prepared = { input, record, label: null, properties }
  const checked = checkInput(store, prepared)
  if ('error' in checked) throw new Refusal(400, checked.error.category, checked.error.message)
  return answerOf(store, account.apply(store, prepared, checked.values).record, Object.keys(properties))
}

/** `POST /crm/v3/objects/{type}/merge`. */
export function merge(account: Account, store: ObjectStore, body: JsonObject): StandInAnswer {
  const survivor = store.byId(textAt(body, 'primaryObjectId') ?? '', true)
  const loser = store.byId(textAt(body, 'objectIdToMerge') ?? '', true)
  if (survivor === undefined || loser === undefined || survivor === loser) throw invalid('both records must be there, and differ')
  store.merge(survivor, loser, account.now())
  return jsonAnswer(200, answerOf(store, survivor, ['hs_merged_object_ids']))
}

/** `POST /crm/v3/objects/{type}/search` with EQ and IN filters; a record shows as it is `lagMs` after its last change. */
export function search(account: Account, store: ObjectStore, body: JsonObject, lagMs: number): StandInAnswer {
  const groups = objectsAt(body, 'filterGroups')
  if (groups.length > 5 || groups.some((group) => objectsAt(group, 'filters').length > 6)) throw invalid('too many filters')
  const hits = [...store.all()].filter(
    (record) => account.now() - record.updatedAt >= lagMs && (groups.length === 0 || groups.some((group) => fits(store, record, group))),
  )
  const after = Number(body['after'] ?? 0)
  const limit = Math.min(Number(body['limit'] ?? 10), 200)
  if (after + limit > 10_000) throw invalid('search gives 10,000 results at most')
  const results = hits.slice(after, after + limit).map((record) => answerOf(store, record, textsAt(body, 'properties')))
  const next = after + limit < hits.length ? { paging: { next: { after: String(after + limit) } } } : {}
  return jsonAnswer(200, { total: hits.length, results, ...next })
}

function fits(store: ObjectStore, record: StoredObject, group: JsonObject): boolean {
  const shown = store.shown(record)
  return objectsAt(group, 'filters').every((filter) => {
    const wanted = textAt(filter, 'operator') === 'IN' ? textsAt(filter, 'values') : [textAt(filter, 'value') ?? '']
    const have = shown[textAt(filter, 'propertyName') ?? '']
    return have !== undefined && wanted.some((value) => value.toLowerCase() === have.toLowerCase())
  })
}
