import type {
  SimplePublicObjectBatchInput,
  SimplePublicObjectBatchInputForCreate,
  SimplePublicObjectBatchInputUpsert,
  SimplePublicObjectId,
} from '@hubspot/api-client/lib/codegen/crm/objects/index.js'
import type { RecordOutcome, RequestGate, WriteRequest } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { batchOutcomes, wholeRefusal, type Batch, type Input } from './answers.ts'
import type { HubspotClient } from './client.ts'
import { RECORD_ID } from './describe.ts'
import { matchFieldOf } from '../matched-records.ts'
import { BATCH_SIZE } from './limits.ts'
import { lookUp } from './lookup.ts'
import { readRecords, type HubspotRecord } from './record.ts'

interface Target {
  readonly client: HubspotClient
  /** As the paths name the object. */
  readonly type: string
  readonly match: string
  readonly mode: WriteRequest['mode']
  readonly gate: RequestGate
}

/** The client's models are classes; on the wire they are plain objects of the same shape. */
type Plain<Model> = { readonly [Name in keyof Model]: Model[Name] }

type Upsert = Plain<SimplePublicObjectBatchInputUpsert>
type Update = Plain<SimplePublicObjectBatchInput>
type Create = Plain<SimplePublicObjectBatchInputForCreate>
type Id = Plain<SimplePublicObjectId>

interface Addressed extends Input {
  readonly remoteId: string
}

/**
 * Sends one batch of at most 100 records, all written or all deleted. Upsert and mirror are one call; update, insert and deletes
 * look the records up first. Every input carries its record's id as objectWriteTraceId, which is also what makes HubSpot apply the
 * good records of a batch and name the bad ones (207). Upsert, update and delete may be repeated; insert only after a read-back.
 */
export async function writeBatch(client: HubspotClient, type: string, request: WriteRequest, gate: RequestGate): Promise<RecordOutcome[]> {
  const { mode } = request
  const match = matchFieldOf(request, 'HubSpot')
  if (match === RECORD_ID && mode !== 'update') {
    throw new ConnectorError(
      'config',
      `${RECORD_ID} can be the match field in update mode only: HubSpot chooses the ids of new records (sync ${request.sync})`,
    )
  }
  if (request.records.length > BATCH_SIZE)
    throw new ConnectorError('refused', `HubSpot takes ${BATCH_SIZE} records per batch, this one has ${request.records.length}`)
  const records = readRecords(request.records, match)
  const target: Target = { client, type, match, mode, gate }
  const [first] = records
  if (first === undefined) return []
  try {
    return await dispatch(target, first.op, records)
  } catch (error) {
    // Of a single record only the look-up is refused as a whole: HubSpot does not take its match value.
    if (!(error instanceof ConnectorError) || error.kind !== 'refused' || records.length > 1) throw error
    return [
      { id: first.id, status: 'rejected', class: 'data', code: error.code ?? 'VALIDATION_ERROR', field: match, message: error.message },
    ]
  }
}

function dispatch(target: Target, op: HubspotRecord['op'], records: readonly HubspotRecord[]): Promise<RecordOutcome[]> {
  if (op === 'delete') return archive(target, records)
  if (target.mode === 'update') return update(target, records)
  return target.mode === 'insert' ? insert(target, records) : upsert(target, records)
}

async function upsert(target: Target, records: readonly HubspotRecord[]): Promise<RecordOutcome[]> {
  const inputs = records.map((record): Upsert => ({
    id: record.match,
    idProperty: target.match,
    objectWriteTraceId: record.id,
    properties: record.fields,
  }))
  return send(target, 'upsert', inputs, byRecord(records))
}

/** By HubSpot's own id, because contacts refuse `email` as idProperty here, and because a record that is not there is then known. */
async function update(target: Target, records: readonly HubspotRecord[]): Promise<RecordOutcome[]> {
  const found = await lookUp({ ...target, records, properties: [] })
  const missing: RecordOutcome[] = []
  const present: Addressed[] = []
  const ids = new Set<string>()
  for (const record of records) {
    const stored = found.get(record.folded)
    if (stored === undefined) {
      missing.push({
        id: record.id,
        status: 'rejected',
        class: 'missing',
        code: 'OBJECT_NOT_FOUND',
        field: target.match,
        message: `HubSpot has no record with this ${target.match}`,
      })
      continue
    }
    if (ids.has(stored.id))
      throw new ConnectorError(
        'refused',
        `two records of the batch are one record at HubSpot, which was merged; it takes one of them per batch`,
      )
    ids.add(stored.id)
    present.push({ record, remoteId: stored.id })
  }
  const inputs = present.map(({ record, remoteId }): Update => {
    // The match value is there already; sent again it would make a merged contact's additional address its first one.
    const properties = Object.fromEntries(Object.entries(record.fields).filter(([name]) => name !== target.match))
    return { id: remoteId, objectWriteTraceId: record.id, properties }
  })
  return present.length === 0 ? missing : [...missing, ...(await send(target, 'update', inputs, present))]
}

/** Creates what is not there. A record that another hand creates in between answers with a conflict and counts as skipped. */
async function insert(target: Target, records: readonly HubspotRecord[]): Promise<RecordOutcome[]> {
  const found = await lookUp({ ...target, records, properties: [] })
  const skipped = records
    .filter((record) => found.has(record.folded))
    .map((record): RecordOutcome => ({ id: record.id, status: 'skipped' }))
  const fresh = records.filter((record) => !found.has(record.folded))
  const inputs = fresh.map((record): Create => ({
    objectWriteTraceId: record.id,
    properties: record.fields,
    associations: [],
  }))
  return fresh.length === 0 ? skipped : [...skipped, ...(await send(target, 'create', inputs, byRecord(fresh)))]
}

/**
 * Archives what is there; what is not counts as done. A contact that only answers to the value by an additional address, left by
 * a merge, stays: the record that had the value is gone already, and this one is another row's.
 */
async function archive(target: Target, records: readonly HubspotRecord[]): Promise<RecordOutcome[]> {
  const found = await lookUp({ ...target, records, properties: [] })
  const present: Addressed[] = []
  const gone: RecordOutcome[] = []
  for (const record of records) {
    const stored = found.get(record.folded)
    if (stored === undefined || stored.alias) gone.push({ id: record.id, status: 'delivered' })
    else present.push({ record, remoteId: stored.id })
  }
  const inputs = present.map(({ remoteId }): Id => ({ id: remoteId }))
  return present.length === 0 ? gone : [...gone, ...(await send(target, 'archive', inputs, present))]
}

function byRecord(records: readonly HubspotRecord[]): Input[] {
  return records.map((record) => ({ record, remoteId: null }))
}

async function send(
  target: Target,
  verb: 'upsert' | 'update' | 'create' | 'archive',
  inputs: readonly (Upsert | Update | Create | Id)[],
  sent: readonly Input[],
): Promise<RecordOutcome[]> {
  const { client, type, match, mode, gate } = target
  const path = `/crm/v3/objects/${encodeURIComponent(type)}/batch/${verb}`
  const { status, body } = await client.call({
    method: 'POST',
    path,
    body: { inputs },
    gate,
    what: `batch ${verb} of ${type}`,
    writes: true,
  })
  const batch: Batch = { inputs: sent, match, mode }
  if (status >= 400) return wholeRefusal(batch, status, body)
  // Documented to cover every input of an archive; no other call answers without a body.
  if (status === 204 && verb === 'archive') return sent.map(({ record }) => ({ id: record.id, status: 'delivered' }))
  return batchOutcomes(batch, body ?? {})
}
