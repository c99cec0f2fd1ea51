import type { Mode, RecordOutcome, RejectionClass } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { foldMatch } from './compare.ts'
import { readRefusal, type Refusal } from './envelope.ts'
import { objectAt, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'
import type { HubspotRecord } from './record.ts'
import { withoutValues } from '../redact.ts'

/** One input of a batch call: our record and, where it is addressed by it, HubSpot's own id. */
export interface Input {
  readonly record: HubspotRecord
  readonly remoteId: string | null
}

export interface Batch {
  readonly inputs: readonly Input[]
  readonly match: string
  readonly mode: Mode
}

const LONGEST_WORDS = 500

/**
 * Outcomes of a 2xx answer that lists results and errors. Each is matched by objectWriteTraceId, else by HubSpot's id, else by the
 * match value; never by position, which HubSpot does not keep. An input that is in neither list, or in both, is in doubt.
 */
export function batchOutcomes(batch: Batch, body: JsonObject): RecordOutcome[] {
  const find = finder(batch)
  const outcomes = new Map<string, RecordOutcome>()
  const settle = (id: string, outcome: RecordOutcome): void => {
    outcomes.set(id, outcomes.has(id) ? { id, status: 'in_doubt' } : outcome)
  }
  const delivered = new Set<string>()
  for (const result of objectsAt(body, 'results')) {
    const input = find(textAt(result, 'objectWriteTraceId'), textAt(result, 'id'), textAt(objectAt(result, 'properties'), batch.match))
    if (input) delivered.add(input.record.id)
  }
  for (const id of delivered) settle(id, { id, status: 'delivered' })
  for (const error of objectsAt(body, 'errors')) {
    for (const input of named(error, batch, find)) settle(input.record.id, refusedRecord(batch, input, readRefusal(error)))
  }
  return batch.inputs.map(({ record }) => outcomes.get(record.id) ?? { id: record.id, status: 'in_doubt' })
}

/**
 * What a refusal of the whole call means (400, 404, 409, 413, 422): of a single record it is that record's, of several nobody
 * knows whose. Throws `refused` then, so that the batch is split.
 */
export function wholeRefusal(batch: Batch, status: number, body: JsonObject | null): RecordOutcome[] {
  const refusal = readRefusal(body)
  const [only, ...others] = batch.inputs
  if (only === undefined) return []
  if (others.length === 0) return [refusedRecord(batch, only, refusal)]
  throw new ConnectorError('refused', `HubSpot refused the batch of ${batch.inputs.length} as a whole (${status} ${refusal.code})`, {
    code: refusal.code,
  })
}

type Find = (traceId: string | null, remoteId: string | null, match: string | null) => Input | undefined

function finder({ inputs }: Batch): Find {
  const byTrace = new Map(inputs.map((input) => [input.record.id, input]))
  const byRemote = new Map(inputs.filter(({ remoteId }) => remoteId !== null).map((input) => [input.remoteId, input]))
  const byMatch = new Map(inputs.map((input) => [input.record.folded, input]))
  return (traceId, remoteId, match) => {
    if (traceId !== null) return byTrace.get(traceId)
    return (remoteId === null ? undefined : byRemote.get(remoteId)) ?? (match === null ? undefined : byMatch.get(foldMatch(match)))
  }
}

function named(error: JsonObject, batch: Batch, find: Find): Input[] {
  const context = objectAt(error, 'context')
  const traces = textsAt(context, 'objectWriteTraceId')
  const ids = [...textsAt(context, 'ids'), ...textsAt(context, 'id')]
  const inputs = traces.length > 0 ? traces.map((trace) => find(trace, null, null)) : ids.map((id) => find(null, id, id))
  const known = inputs.filter((input) => input !== undefined)
  // An error that names nobody can only be about the one record there is.
  return known.length === 0 && traces.length === 0 && ids.length === 0 && batch.inputs.length === 1 ? [...batch.inputs] : known
}

function refusedRecord(batch: Batch, { record }: Input, refusal: Refusal): RecordOutcome {
  const { id } = record
  const kind = classOf(refusal)
  if (kind === 'unknown') return { id, status: 'in_doubt' }
  if (kind === 'later') return { id, status: 'retry', message: `HubSpot put it off (${refusal.code})` }
  const overMatch =
    kind === 'conflict' && (refusal.field === batch.match || (batch.match === 'email' && /already exists/i.test(refusal.words)))
  if (overMatch && batch.mode === 'insert') return { id, status: 'skipped' }
  // An upsert can only clash over its own match value when somebody else creates the record at the same moment: worth another try soon.
  const rejection = overMatch && batch.mode !== 'update' ? 'locked' : kind
  return { id, status: 'rejected', class: rejection, code: refusal.code, field: refusal.field, message: describeRefusal(refusal, record) }
}

function classOf({ category, code, words }: Refusal): RejectionClass | 'unknown' | 'later' {
  const codes = [category, code]
  if (codes.includes('INTERNAL_ERROR') || category === 'SERVER_ERROR') return 'unknown'
  if (codes.some((text) => text?.startsWith('RATE_LIMIT'))) return 'later'
  if (codes.includes('OBJECT_NOT_FOUND') || codes.includes('NOT_FOUND')) return 'missing'
  if (codes.includes('MISSING_SCOPES') || codes.includes('FORBIDDEN')) return 'permission'
  if (codes.some((text) => text !== null && /LOCK|CONCURREN/.test(text))) return 'locked'
  if (codes.some((text) => text !== null && /CONFLICT|ALREADY_EXISTS/.test(text)) || /already has that value|already exists/i.test(words))
    return 'conflict'
  return 'data'
}

function describeRefusal(refusal: Refusal, record: HubspotRecord): string {
  const value = refusal.field === null ? undefined : record.fields[refusal.field]
  const values = value === undefined ? Object.values(record.fields) : [value]
  const words = withoutValues(refusal.words, values).slice(0, LONGEST_WORDS)
  return `${refusal.field === null ? '' : `${refusal.field}: `}${refusal.code}${words === '' ? '' : `. HubSpot says: ${words}`}`
}
