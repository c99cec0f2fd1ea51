import type { Mode, RecordOutcome, RejectionClass } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { isObject, objectsAt, textAt } from '../json-object.ts'
import { readError, type SalesforceError } from './envelope.ts'
import { STORAGE_FULL, storageFull } from './failures.ts'
import { canonicalId } from './ids.ts'
import { withoutValues } from '../redact.ts'
import type { SalesforceRecord } from './record.ts'

/** One record of a call and, where it is addressed by it, Salesforce's own id. */
export interface Input {
  readonly record: SalesforceRecord
  readonly remoteId: string | null
}

/**
 * What an answer says of one record: an outcome; `locked`: not applied, to be sent again after a pause; `full`: not applied, because
 * the org's storage is full.
 */
export type Verdict =
  | RecordOutcome
  | { readonly id: string; readonly status: 'locked'; readonly error: SalesforceError }
  | { readonly id: string; readonly status: 'full' }

export interface Sent {
  readonly inputs: readonly Input[]
  readonly match: string
  readonly mode: Mode
}

/**
 * Verdicts of a Collections answer. It has one result per record in the order of the request and nothing else that would tell
 * them apart, so position counts, but only as far as it can be checked: as many results as records, an id that is the one sent,
 * and no id twice. What fails a check is in doubt.
 */
export function collectionVerdicts(sent: Sent, body: unknown): Verdict[] {
  const results = Array.isArray(body) ? body : []
  const doubt = (id: string): Verdict => ({ id, status: 'in_doubt' })
  if (results.length !== sent.inputs.length) return sent.inputs.map(({ record }) => doubt(record.id))
  const ids = results.map((result) => (isObject(result) && result['success'] === true ? canonicalId(textAt(result, 'id') ?? '') : null))
  return sent.inputs.map((input, index) => {
    const { record, remoteId } = input
    const result: unknown = results[index]
    if (!isObject(result)) return doubt(record.id)
    if (result['success'] === true) {
      const id = ids[index] ?? null
      const checked = id !== null && ids.indexOf(id) === ids.lastIndexOf(id) && (remoteId === null || canonicalId(remoteId) === id)
      return checked ? { id: record.id, status: 'delivered' } : doubt(record.id)
    }
    const [error] = objectsAt(result, 'errors')
    if (result['success'] !== false || error === undefined) return doubt(record.id)
    return refusedRecord(sent, input, readError(error))
  })
}

/**
 * Why nothing can be delivered, if the records of a call or a job were all refused for it: storage full, or no permission. `codes`:
 * of their refusals, null for a record that was not refused. Null: the records stand for themselves.
 */
export function hopeless(codes: readonly (string | null)[], what: string): ConnectorError | null {
  const said = `Salesforce refused every record of ${what}`
  const [code = null] = codes
  if (code === null) return null
  if (codes.every((each) => each === STORAGE_FULL)) return storageFull(said)
  if (!codes.every((each) => each !== null && PERMISSION.test(each))) return null
  const message = `${said} (${code}): the user may not write this object or these fields. Give it a permission set that may`
  return new ConnectorError('auth', message, { code })
}

/** As `hopeless` takes it. */
export function refusalCode(verdict: Verdict): string | null {
  return verdict.status === 'full' ? STORAGE_FULL : verdict.status === 'rejected' ? verdict.code : null
}

const PERMISSION = /^(INSUFFICIENT_ACCESS|INVALID_FIELD_FOR_INSERT_UPDATE|CANNOT_MODIFY_MANAGED)/

/** Refusals that may pass by themselves. */
const PASSING = /^(UNABLE_TO_LOCK_ROW|UNKNOWN_EXCEPTION|SERVER_UNAVAILABLE)$/

/** What the refusal of one record means. */
export function refusedRecord(sent: Sent, { record }: Input, error: SalesforceError): Verdict {
  const { id, op } = record
  const { code, words, fields } = error
  // A trigger or flow that failed on a lock says so in its words only. A record that is refused was not saved, whatever the reason.
  if (PASSING.test(code) || /UNABLE_TO_LOCK_ROW/.test(words)) return { id, status: 'locked', error }
  if (code === 'REQUEST_LIMIT_EXCEEDED' || code === 'PROCESSING_HALTED')
    return { id, status: 'retry', message: `Salesforce put it off (${code})` }
  if (code === STORAGE_FULL) return { id, status: 'full' }
  const gone = code === 'ENTITY_IS_DELETED' || code === 'NOT_FOUND'
  if (gone && op === 'delete') return { id, status: 'delivered' }
  if (code === 'DUPLICATE_VALUE' && (duplicated(words) === sent.match || fields.includes(sent.match))) {
    if (sent.mode === 'insert') return { id, status: 'skipped' }
    // Somebody else made the record at the same moment: sent again it becomes an update.
    if (sent.mode !== 'update') return { id, status: 'locked', error }
  }
  return rejected(record, error, gone ? 'missing' : classOf(error))
}

export function rejected(
  { id, fields }: SalesforceRecord,
  { code, words, fields: named }: SalesforceError,
  kind: RejectionClass,
): RecordOutcome {
  const field = named.length === 1 ? (named[0] ?? null) : null
  return { id, status: 'rejected', class: kind, code, field, message: describeRefusal(code, words, Object.values(fields)) }
}

function classOf({ code, words }: SalesforceError): RejectionClass {
  if (code === 'INVALID_FIELD' && /foreign key external id/i.test(words)) return 'missing'
  if (code === 'INVALID_CROSS_REFERENCE_KEY') return 'missing'
  if (/^(DUPLICATE_VALUE|DUPLICATES_DETECTED|DUPLICATE_EXTERNAL_ID)$/.test(code)) return 'conflict'
  if (PERMISSION.test(code)) return 'permission'
  return 'data'
}

/** The field of `duplicate value found: F duplicates value on record with id: …`. */
function duplicated(words: string): string | null {
  return /duplicate value found: (\w+) duplicates/i.exec(words)?.[1] ?? null
}

const LONGEST_WORDS = 500

/** Salesforce's words with the row's values taken out. */
function describeRefusal(code: string, words: string, values: readonly unknown[]): string {
  const texts = values.filter((value) => value !== null).map(String)
  const clean = withoutValues(words, texts).slice(0, LONGEST_WORDS)
  return `${code}${clean === '' ? '' : `. Salesforce says: ${clean}`}`
}
