import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordOutcome, RequestGate, WriteRequest } from '../contract.ts'
import { ConnectorError, ERROR_KINDS } from '../errors.ts'
import { matchFieldOf } from '../matched-records.ts'
import type { SalesforceClient } from './client.ts'
import type { SalesforceObject } from './object.ts'
import { errorsOf } from './envelope.ts'
import { strangePage } from './failures.ts'
import { BATCH_SIZE, LOCK_ROUNDS } from './limits.ts'
import { lookUp, type Stored } from './lookup.ts'
import { collectionVerdicts, hopeless, refusalCode, refusedRecord, rejected, type Input, type Sent, type Verdict } from './outcomes.ts'
import { bodyOf, readRecords, type SalesforceRecord } from './record.ts'

interface Target {
  readonly client: SalesforceClient
  readonly object: SalesforceObject
  readonly match: string
  readonly mode: WriteRequest['mode']
  readonly gate: RequestGate
}

/**
 * Sends one batch of at most 200 records, all written or all deleted, by Collections. Upsert and mirror are one call; update, insert
 * and deletes look the records up first. Rows that meet a lock are sent again within the call, in smaller batches. Upsert, update and
 * delete may be repeated; insert only after a read-back.
 */
export async function writeBatch(
  client: SalesforceClient,
  object: SalesforceObject,
  request: WriteRequest,
  gate: RequestGate,
): Promise<RecordOutcome[]> {
  const { mode } = request
  const match = matchFieldOf(request, 'Salesforce')
  if (request.records.length > BATCH_SIZE)
    throw new ConnectorError('refused', `Salesforce takes ${BATCH_SIZE} records per call, this batch has ${request.records.length}`)
  const records = readRecords(request.records, match, object)
  const target: Target = { client, object, match, mode, gate }
  const [first] = records
  if (first === undefined) return []
  try {
    return await dispatch(target, first.op, records)
  } catch (error) {
    // Of a single record only the look-up is refused as a whole: Salesforce does not take its match value.
    if (!(error instanceof ConnectorError) || error.kind !== 'refused' || records.length > 1) throw error
    return [{ id: first.id, status: 'rejected', class: 'data', code: error.code ?? 'INVALID_INPUT', field: match, message: error.message }]
  }
}

function dispatch(target: Target, op: SalesforceRecord['op'], records: readonly SalesforceRecord[]): Promise<RecordOutcome[]> {
  if (op === 'delete') return remove(target, records)
  if (target.mode === 'update') return update(target, records)
  return target.mode === 'insert' ? insert(target, records) : upsert(target, records)
}

function upsert(target: Target, records: readonly SalesforceRecord[]): Promise<RecordOutcome[]> {
  const { object, match } = target
  const path = `/composite/sobjects/${encodeURIComponent(object.name)}/${encodeURIComponent(match)}`
  return send(target, unaddressed(records), (inputs) => ({ method: 'PATCH', path, what: 'upsert', body: recordsBody(object, inputs) }))
}

/** By Salesforce's own id: a record that is not there is then known before anything is sent. */
async function update(target: Target, records: readonly SalesforceRecord[]): Promise<RecordOutcome[]> {
  const { object, match } = target
  const { present, missing, several } = await addressed(target, records)
  const absent = missing.map((record): RecordOutcome => {
    const message = `Salesforce has no ${object.name} with this ${match}`
    return { id: record.id, status: 'rejected', class: 'missing', code: 'NOT_FOUND', field: match, message }
  })
  const sent = await send(target, present, (inputs) => ({
    method: 'PATCH',
    path: '/composite/sobjects',
    what: 'update',
    body: recordsBody(object, inputs, match),
  }))
  return [...absent, ...several, ...sent]
}

/** Creates what is not there. A record that another hand creates in between is refused for its match value and counts as skipped. */
async function insert(target: Target, records: readonly SalesforceRecord[]): Promise<RecordOutcome[]> {
  const { object } = target
  const found = await find(target, records)
  const skipped = records
    .filter((record) => found.has(record.folded))
    .map((record): RecordOutcome => ({ id: record.id, status: 'skipped' }))
  const fresh = unaddressed(records.filter((record) => !found.has(record.folded)))
  const sent = await send(target, fresh, (inputs) => ({
    method: 'POST',
    path: '/composite/sobjects',
    what: 'create',
    body: recordsBody(object, inputs),
  }))
  return [...skipped, ...sent]
}

/** Deletes what is there, into the recycle bin; what is not counts as done. */
async function remove(target: Target, records: readonly SalesforceRecord[]): Promise<RecordOutcome[]> {
  const { keyPrefix, name } = target.object
  const { present, missing, several } = await addressed(target, records)
  // The call takes ids of any object.
  if (present.some(({ remoteId }) => keyPrefix === null || remoteId?.startsWith(keyPrefix) !== true))
    throw new ConnectorError('destination', `Salesforce named a record of another object than ${name}; nothing was deleted`)
  const gone = missing.map((record): RecordOutcome => ({ id: record.id, status: 'delivered' }))
  const sent = await send(target, present, (inputs) => {
    const ids = inputs.map(({ remoteId }) => remoteId).join(',')
    return { method: 'DELETE', path: `/composite/sobjects?allOrNone=false&ids=${ids}`, what: 'delete' }
  })
  return [...gone, ...several, ...sent]
}

function find(
  { client, object, match, gate }: Target,
  records: readonly SalesforceRecord[],
): Promise<ReadonlyMap<string, readonly Stored[]>> {
  return lookUp({ client, object, match, values: records.map((record) => record.match), fields: [], gate })
}

/** The records with their ids; those that Salesforce has not, and those whose match value several records hold. */
async function addressed(target: Target, records: readonly SalesforceRecord[]) {
  const found = await find(target, records)
  const present: Input[] = []
  const missing: SalesforceRecord[] = []
  const several: RecordOutcome[] = []
  for (const record of records) {
    const [first, ...others] = found.get(record.folded) ?? []
    if (first === undefined) missing.push(record)
    else if (others.length === 0) present.push({ record, remoteId: first.id })
    else
      several.push(
        rejected(
          record,
          { code: 'DUPLICATE_EXTERNAL_ID', words: `several records have this ${target.match}`, fields: [target.match] },
          'conflict',
        ),
      )
  }
  return { present, missing, several }
}

function unaddressed(records: readonly SalesforceRecord[]): Input[] {
  return records.map((record) => ({ record, remoteId: null }))
}

/** `without`: the match field of an update, which the record has already. */
function recordsBody(object: SalesforceObject, inputs: readonly Input[], without?: string): object {
  const records = inputs.map(({ record, remoteId }) => {
    const fields = Object.entries(bodyOf(record, object)).filter(([name]) => name !== without)
    return { attributes: { type: object.name }, ...(remoteId === null ? {} : { id: remoteId }), ...Object.fromEntries(fields) }
  })
  return { allOrNone: false, records }
}

interface CollectionCall {
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly what: string
  readonly body?: object
}

/**
 * Absent, assignment rules apply and may take records from their owners; alerts of duplicate rules are for people who type, rules
 * that block do so all the same.
 */
const WRITE_HEADERS = { 'sforce-auto-assign': 'FALSE', 'sforce-duplicate-rule-header': 'allowSave=true' }

async function send(
  target: Target,
  inputs: readonly Input[],
  call: (inputs: readonly Input[]) => CollectionCall,
): Promise<RecordOutcome[]> {
  if (inputs.length === 0) return []
  const verdicts = await exchange(target, inputs, call(inputs))
  const stop = hopeless(verdicts.map(refusalCode), `a batch of ${target.object.name}`)
  if (stop !== null) throw stop
  const byId = new Map(inputs.map((input) => [input.record.id, input]))
  const outcomes: RecordOutcome[] = []
  let locked: readonly Verdict[] = verdicts
  for (const round of LOCK_ROUNDS) {
    outcomes.push(...locked.flatMap(settled))
    const again = locked.flatMap((verdict) => (verdict.status === 'locked' ? (byId.get(verdict.id) ?? []) : []))
    if (again.length === 0) return outcomes
    locked = await sendLocked(target, again, round, call)
  }
  for (const verdict of locked) {
    const record = byId.get(verdict.id)?.record
    outcomes.push(...(verdict.status === 'locked' && record !== undefined ? [rejected(record, verdict.error, 'locked')] : settled(verdict)))
  }
  return outcomes
}

/** What was locked, after a pause with jitter, in smaller batches one after the other. Never throws: earlier outcomes stand. */
async function sendLocked(
  target: Target,
  inputs: readonly Input[],
  { size, waitMs }: (typeof LOCK_ROUNDS)[number],
  call: (inputs: readonly Input[]) => CollectionCall,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (let from = 0; from < inputs.length; from += size) {
    const part = inputs.slice(from, from + size)
    try {
      await pause(from === 0 ? waitMs * (0.5 + Math.random()) : 0, target.gate.signal)
      verdicts.push(...(await exchange(target, part, call(part))))
    } catch (error) {
      if (!(error instanceof ConnectorError)) throw error
      const unknown = ERROR_KINDS[error.kind].applied === 'unknown'
      verdicts.push(
        ...part.map(({ record: { id } }): Verdict =>
          unknown ? { id, status: 'in_doubt' } : { id, status: 'retry', message: error.message },
        ),
      )
    }
  }
  return verdicts
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => Promise.reject(new ConnectorError('cancelled', 'stopping')))
}

function settled(verdict: Verdict): RecordOutcome[] {
  if (verdict.status === 'locked') return []
  if (verdict.status !== 'full') return [verdict]
  return [{ id: verdict.id, status: 'retry', message: "Salesforce refused it (STORAGE_LIMIT_EXCEEDED): the org's data storage is full" }]
}

async function exchange({ client, object, match, mode, gate }: Target, inputs: readonly Input[], call: CollectionCall): Promise<Verdict[]> {
  const sent: Sent = { inputs, match, mode }
  const { what, ...request } = call
  const reply = await client.call({ ...request, headers: WRITE_HEADERS, gate, what: `${what} of a batch of ${object.name}`, writes: true })
  if (reply.status >= 200 && reply.status < 300) {
    if (reply.body === undefined) throw strangePage(`${what} of a batch of ${object.name}`, true)
    return collectionVerdicts(sent, reply.body)
  }
  const [error] = errorsOf(reply.body)
  const code = error?.code ?? String(reply.status)
  if (reply.status === 404) {
    throw new ConnectorError(
      'config',
      `Salesforce answered 404 ${code} to ${what} of ${object.name}: ${match} is no external id of it, or not visible to this user`,
      { code },
    )
  }
  const [only, ...others] = inputs
  if (only !== undefined && others.length === 0 && error !== undefined) return [refusedRecord(sent, only, error)]
  throw new ConnectorError('refused', `Salesforce refused the batch of ${inputs.length} as a whole (${reply.status} ${code})`, { code })
}
