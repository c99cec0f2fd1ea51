import type { BulkState, RecordOutcome } from '../contract.ts'
import { textAt, type JsonObject } from '../json-object.ts'
import type { BulkResultsTable } from './bulk-results.ts'
import { canonicalId } from './ids.ts'
import { refusedRecord, type Sent } from './outcomes.ts'
import type { SalesforceRecord } from './record.ts'

/** What a job's description says of it. `Failed` and `Aborted` keep what was written before; their results tell what that is. */
export function jobState(job: JsonObject): BulkState {
  const state = textAt(job, 'state')
  if (state === 'Open') return { state: 'open' }
  if (state === 'JobComplete') return { state: 'ended', error: null }
  if (state === 'Aborted') return { state: 'ended', error: 'the job was aborted' }
  if (state === 'Failed') return { state: 'ended', error: `the job failed: ${jobError(textAt(job, 'errorMessage') ?? '')}` }
  // UploadComplete, InProgress, and whatever else comes before an end.
  return { state: 'running', processed: Number(job['numberRecordsProcessed'] ?? 0) }
}

/** `InvalidBatch : Field name not found : X`: the code, and names of fields; other words may repeat values. */
function jobError(message: string): string {
  const [, code = 'no reason given'] = /^\s*([A-Za-z]{1,60})/.exec(message) ?? []
  const [, field] = /Field name not found\s*:\s*([\w.:]{1,80})/.exec(message) ?? []
  return field === undefined ? code : `${code}, there is no field ${field}`
}

export interface BulkGround {
  readonly sent: Sent
  /** The CSV held the record. */
  readonly carried: boolean
  /** Of records addressed by Salesforce's own ids: those that hold its match value now; null for any other. */
  readonly found: readonly string[] | null
  readonly table: BulkResultsTable
}

/** What the results of an ended job mean for one record. A duplicate rule may only have alerted: Bulk knows no header to pass it. */
export function bulkOutcome(record: SalesforceRecord, { sent, carried, found, table }: BulkGround): RecordOutcome {
  const { id, op } = record
  if (!carried) return { id, status: 'retry', message: 'a bulk job cannot carry it' }
  // Removed, by whomever; an update of what is not there is told by a call that looks for it first.
  if (found?.length === 0) return op === 'delete' ? { id, status: 'delivered' } : { id, status: 'retry', message: 'it is not there' }
  if (found !== null && found.length > 1) return { id, status: 'in_doubt' }
  const result = table.of(found === null ? record.folded : (canonicalId(found[0] ?? '') ?? ''))
  if (result === undefined || result.kind === 'conflicting') return { id, status: 'in_doubt' }
  // A removal that is said to be done while the record is there.
  if (result.kind === 'done') return { id, status: op === 'delete' ? 'in_doubt' : 'delivered' }
  if (result.kind === 'unprocessed') return { id, status: 'retry', message: 'the bulk job ended before it' }
  if (result.error.code === 'DUPLICATES_DETECTED') return { id, status: 'retry', message: 'only a call can say that alerts are passed' }
  const verdict = refusedRecord(sent, { record, remoteId: result.remoteId }, result.error)
  if (verdict.status === 'locked') return { id, status: 'retry', message: `Salesforce put it off (${verdict.error.code})` }
  return verdict.status === 'full' ? { id, status: 'retry', message: "the org's data storage is full" } : verdict
}
