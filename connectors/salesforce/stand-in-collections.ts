import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { isObject, textAt, type JsonObject } from '../json-object.ts'
import { foldMatch } from './compare.ts'
import { BATCH_SIZE } from './limits.ts'
import { notFound, Refusal, rowError, type RowError } from './stand-in-answers.ts'
import type { Field } from './stand-in-fields.ts'
import { scalarOf, type Org, type Rules, type Saved } from './stand-in-org.ts'
import type { ObjectStore } from './stand-in-store.ts'

/** `/composite/sobjects[/{object}/{external id field}]`: up to 200 records, one result each, in the order of the request. */
export function collections(org: Org, request: StandInRequest, object: string | null, external: string | null): StandInAnswer {
  if (request.method === 'DELETE') return answer(org, idsOf(request), (id) => org.remove(id))
  const body = bodyOf(request)
  const records = recordsOf(body)
  const rules = rulesOf(request)
  if (body['allOrNone'] === true) throw new Refusal(400, 'INVALID_INPUT', 'allOrNone is not served by this stand-in')
  for (const record of records) refuseUnknownFields(org, record)
  if (request.method === 'POST') return answer(org, records, (record) => org.create(storeOf(org, record), record, rules))
  if (request.method !== 'PATCH') throw new Refusal(405, 'METHOD_NOT_ALLOWED', `HTTP Method '${request.method}' not allowed`)
  return object === null ? update(org, records, rules) : upsert(org, records, { object, name: external ?? '' }, rules)
}

function update(org: Org, records: readonly JsonObject[], rules: Rules): StandInAnswer {
  return answer(org, records, (record) => {
    const id = textAt(record, 'id') ?? textAt(record, 'Id')
    return id === null
      ? failed('MISSING_ARGUMENT', 'Id not specified in an update call')
      : org.update(storeOf(org, record), id, record, rules)
  })
}

function upsert(
  org: Org,
  records: readonly JsonObject[],
  { object, name }: { readonly object: string; readonly name: string },
  rules: Rules,
): StandInAnswer {
  const store = org.store(object)
  if (store === undefined) throw notFound()
  const external = org.field(store, name)
  if (external?.externalId !== true) throw notFound(`Provided external ID field does not exist or is not accessible: ${name}`)
  for (const record of records) {
    if (storeOf(org, record) !== store) throw new Refusal(400, 'INVALID_INPUT', `records must be of type ${store.name}`)
    if ('id' in record || 'Id' in record)
      throw new Refusal(400, 'INVALID_INPUT', 'The Id field should not be specified in the sobject data.')
  }
  const twice = repeatedKeys(records, external)
  return answer(org, records, (record) => {
    const value = scalarOf(record[external.name])
    if (value !== null && twice.has(foldMatch(String(value), external)))
      return failed('DUPLICATE_VALUE', `Duplicate external id specified: ${String(value)}`, [external.name])
    return org.upsert(store, external, record, rules)
  })
}

function repeatedKeys(records: readonly JsonObject[], external: Field): ReadonlySet<string> {
  const counts = new Map<string, number>()
  for (const record of records) {
    const value = scalarOf(record[external.name])
    if (value === null) continue
    const folded = foldMatch(String(value), external)
    counts.set(folded, (counts.get(folded) ?? 0) + 1)
  }
  return new Set([...counts].filter(([, count]) => count > 1).map(([folded]) => folded))
}

function answer<Input>(org: Org, inputs: readonly Input[], save: (input: Input) => Saved): StandInAnswer {
  const { lockAbove } = org.settings
  const locked = lockAbove !== null && inputs.length > lockAbove
  const results = inputs.map((input) => {
    if (locked) return failed('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record or 1 records: 001000000000001AAA')
    return save(input)
  })
  return jsonAnswer(
    200,
    results.map((saved) => (saved.success ? { id: saved.id, success: true, errors: [], created: saved.created } : saved)),
  )
}

function failed(statusCode: string, message: string, fields: readonly string[] = []): { success: false; errors: RowError[] } {
  return { success: false, errors: [rowError(statusCode, message, fields)] }
}

function recordsOf(body: JsonObject): JsonObject[] {
  const records = Array.isArray(body['records']) ? body['records'].filter(isObject) : []
  if (records.length === 0) throw new Refusal(400, 'INVALID_INPUT', 'The records parameter is required')
  if (records.length > BATCH_SIZE) throw tooMany()
  const types = records.map((record) => textAt(isObject(record['attributes']) ? record['attributes'] : null, 'type') ?? '')
  const chunks = types.filter((type, index) => type !== types[index - 1]).length
  if (chunks > 10) throw new Refusal(400, 'INVALID_INPUT', 'Cannot have more than 10 chunks in a single operation')
  return records
}

function idsOf({ query }: StandInRequest): string[] {
  const ids = (query.get('ids') ?? '').split(',').filter((id) => id !== '')
  if (ids.length === 0) throw new Refusal(400, 'MISSING_ARGUMENT', 'The ids parameter is required')
  if (ids.length > BATCH_SIZE) throw tooMany()
  return ids
}

function tooMany(): Refusal {
  return new Refusal(400, 'INVALID_INPUT', `Can only do up to ${BATCH_SIZE} records at a time`)
}

/** A name that the object does not have makes the whole body unreadable. */
function refuseUnknownFields(org: Org, record: JsonObject): void {
  const store = storeOf(org, record)
  for (const [name, value] of Object.entries(record)) {
    if (name === 'attributes' || name === 'id' || isObject(value)) continue
    if (org.field(store, name) === undefined)
      throw new Refusal(400, 'INVALID_FIELD', `No such column '${name}' on sobject of type ${store.name}`, [name])
  }
}

function storeOf(org: Org, record: JsonObject): ObjectStore {
  const type = textAt(isObject(record['attributes']) ? record['attributes'] : null, 'type') ?? ''
  const store = org.store(type)
  if (store === undefined) throw new Refusal(400, 'INVALID_TYPE', `sObject type '${type}' is not supported.`)
  return store
}

/** Absent, `Sforce-Auto-Assign` means TRUE. */
export function rulesOf({ headers }: StandInRequest): Rules {
  const assign = !/^false$/i.test(String(headers['sforce-auto-assign'] ?? 'TRUE'))
  return { assign, allowSave: /allowSave=true/i.test(String(headers['sforce-duplicate-rule-header'] ?? '')) }
}

export function bodyOf(request: StandInRequest): JsonObject {
  let body: unknown
  try {
    body = JSON.parse(request.body.toString('utf8'))
  } catch {
    body = null
  }
  if (!isObject(body)) throw new Refusal(400, 'JSON_PARSER_ERROR', 'Unexpected character in the body')
  return body
}
