import type { StandInAnswer } from '../sandbox/stand-in.ts'
import { jsonAnswer } from '../sandbox/stand-in.ts'
import { isObject, objectAt, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'
import { BATCH_SIZE } from './limits.ts'
import { checkInput, findFor, type Prepared } from './stand-in-inputs.ts'
import { invalid, notFound, Refusal, type InputError } from './stand-in-answers.ts'
import { fold, type ObjectStore, type StoredObject } from './stand-in-store.ts'
import type { Account } from './stand-in-account.ts'

/** `POST /crm/v3/objects/{type}/batch/{verb}`. All or nothing, unless every input has its own objectWriteTraceId. */
export function batch(account: Account, store: ObjectStore, verb: string, body: JsonObject): StandInAnswer {
  const inputs = objectsAt(body, 'inputs')
  if (inputs.length === 0) throw invalid('Invalid input JSON: inputs must not be empty')
  if (inputs.length > BATCH_SIZE)
    throw invalid(`The maximum number of inputs supported in a batch request is ${BATCH_SIZE} but ${inputs.length} were provided`)
  switch (verb) {
    case 'upsert':
      return write(account, store, 200, inputs, prepareUpsert(store, inputs), true)
    case 'update':
      return write(account, store, 200, inputs, prepareUpdate(store, inputs), false)
    case 'create':
      return write(account, store, 201, inputs, prepareCreate(store, inputs), false)
    case 'read':
      return read(account, store, body, inputs)
    case 'archive':
      for (const input of inputs) account.archive(store, textAt(input, 'id') ?? '')
      return { status: 204 }
    default:
      throw notFound(`no batch call ${verb}`)
  }
}

function prepareUpsert(store: ObjectStore, inputs: readonly JsonObject[]): Prepared[] {
  const prepared = inputs.map((input): Prepared => {
    const [id, idProperty] = [textAt(input, 'id'), textAt(input, 'idProperty')]
    if (id === null || id === '' || idProperty === null) throw invalid('Invalid input JSON: id and idProperty are required for an upsert')
    requireUnique(store, idProperty)
    return { input, record: findFor(store, id, idProperty), label: fold(id), properties: { [idProperty]: id, ...textsOf(input) } }
  })
  refuseDuplicates(prepared)
  return prepared
}

/** Merged-away, archived and unknown ids are left out without a word, as recorded; callers find them missing in the results. */
function prepareUpdate(store: ObjectStore, inputs: readonly JsonObject[]): Prepared[] {
  const prepared = inputs.map((input) => {
    const [id, idProperty] = [textAt(input, 'id') ?? '', textAt(input, 'idProperty')]
    if (idProperty !== null) requireUnique(store, idProperty)
    // Contacts refuse the one unique property they are born with, but only in this call.
    if (idProperty === 'email' && store.type === 'contacts') throw nonUnique(store, idProperty)
    return { input, record: findFor(store, id, idProperty), label: fold(id), properties: textsOf(input) }
  })
  refuseDuplicates(prepared)
  return prepared.filter(({ record }) => record !== undefined)
}

function prepareCreate(store: ObjectStore, inputs: readonly JsonObject[]): Prepared[] {
  const seen = new Set<string>()
  return inputs.map((input) => {
    const properties = textsOf(input)
    const email = store.type === 'contacts' ? properties['email'] : undefined
    if (email !== undefined && email !== '') {
      const holder = store.byUnique('email', email)
      if (holder !== undefined) throw new Refusal(409, 'CONFLICT', `Contact already exists. Existing ID: ${holder.id}`)
      if (seen.has(fold(email))) throw new Refusal(409, 'CONFLICT', 'Contact already exists. Existing ID: another input of this batch')
      seen.add(fold(email))
    }
    return { input, record: undefined, label: null, properties }
  })
}

function write(
  account: Account,
  store: ObjectStore,
  success: number,
  inputs: readonly JsonObject[],
  prepared: readonly Prepared[],
  tellsNew: boolean,
): StandInAnswer {
  const traces = inputs.map((input) => textAt(input, 'objectWriteTraceId'))
  const partial = traces.every((trace) => trace !== null && trace !== '') && new Set(traces).size === traces.length
  const checked = prepared.map((each) => ({ each, outcome: checkInput(store, each) }))
  const broken = checked.flatMap(({ each, outcome }) => ('error' in outcome ? [{ each, error: outcome.error }] : []))
  const [first] = broken
  account.refusedInputs += broken.length
  if (first !== undefined && !partial) throw new Refusal(400, first.error.category, first.error.message)

  const results: JsonObject[] = []
  const errors: JsonObject[] = []
  for (const { each, outcome } of checked) {
    const trace = textAt(each.input, 'objectWriteTraceId')
    // Checked again, because an input before this one may have taken its unique value.
    const now = 'error' in outcome ? outcome : checkInput(store, each)
    if ('error' in now) errors.push(errorOf(now.error, trace))
    else {
      const { record, created } = account.apply(store, each, now.values)
      results.push({
        ...answerOf(store, record, Object.keys(each.properties)),
        ...(tellsNew ? { new: created } : {}),
        ...(trace === null ? {} : { objectWriteTraceId: trace }),
      })
    }
  }
  return envelope(account, errors.length === 0 ? success : 207, results, errors)
}

function read(account: Account, store: ObjectStore, body: JsonObject, inputs: readonly JsonObject[]): StandInAnswer {
  const idProperty = textAt(body, 'idProperty')
  if (idProperty !== null) requireUnique(store, idProperty)
  const asked = textsAt(body, 'properties')
  const found = new Map<string, StoredObject>()
  const missing: string[] = []
  for (const input of inputs) {
    const id = textAt(input, 'id') ?? ''
    const record = findFor(store, id, idProperty)
    if (record === undefined) missing.push(id)
    else found.set(record.id, record)
  }
  const results = [...found.values()].map((record) => answerOf(store, record, asked))
  const message = `Could not get some objects, they may be deleted or not exist. Check that ids are valid.`
  const errors = missing.length === 0 ? [] : [{ status: 'error', category: 'OBJECT_NOT_FOUND', message, context: { ids: missing } }]
  return envelope(account, errors.length === 0 ? 200 : 207, results, errors)
}

/** A record as answers show it: the properties asked for (null where empty) and the ones that HubSpot keeps itself. */
export function answerOf(store: ObjectStore, record: StoredObject, asked: readonly string[]): JsonObject {
  const all = store.shown(record)
  const always = Object.keys(all).filter((name) => /^(hs_object_id|createdate|(hs_)?lastmodifieddate)$/.test(name))
  const known = asked.filter((name) => store.properties.has(name))
  const properties = Object.fromEntries([...known, ...always].map((name) => [name, all[name] ?? null]))
  const [createdAt, updatedAt] = [record.createdAt, record.updatedAt].map((ms) => new Date(ms).toISOString())
  return { id: record.id, properties, createdAt, updatedAt, archived: false }
}

function envelope(account: Account, status: number, results: JsonObject[], errors: readonly JsonObject[]): StandInAnswer {
  const at = new Date(account.now()).toISOString()
  const failures = errors.length === 0 ? {} : { numErrors: errors.length, errors }
  return jsonAnswer(status, { status: 'COMPLETE', results: account.shuffled(results), startedAt: at, completedAt: at, ...failures })
}

function errorOf(error: InputError, trace: string | null): JsonObject {
  return {
    status: 'error',
    category: error.category,
    message: error.message,
    context: trace === null ? {} : { objectWriteTraceId: [trace] },
  }
}

function refuseDuplicates(prepared: readonly Prepared[]): void {
  const seen = new Set<string>()
  for (const { record, label } of prepared) {
    const name = record?.id ?? label ?? ''
    if (seen.has(name)) throw invalid(`Duplicate IDs found in batch input: [${label}]. IDs must be unique`, { ids: [label ?? ''] })
    seen.add(name)
  }
}

function requireUnique(store: ObjectStore, idProperty: string): void {
  if (!store.isUnique(idProperty)) throw nonUnique(store, idProperty)
}

function nonUnique(store: ObjectStore, idProperty: string): Refusal {
  return invalid(`Unable to perform update/upsert by non-unique ${store.typeId} property ${idProperty}`)
}

/** Properties of an input; numbers and booleans as the text that HubSpot makes of them. */
export function textsOf(input: JsonObject): Record<string, string> {
  const properties = objectAt(input, 'properties')
  if (!isObject(properties)) return {}
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      name,
      value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}
