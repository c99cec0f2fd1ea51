import type { PlannedRecord } from '../contract.ts'
import { readMatched, type MatchedRecord } from '../matched-records.ts'
import { foldMatch } from './compare.ts'

/** Every value is a text, as HubSpot takes it. */
export type HubspotRecord = MatchedRecord<string>

/** Throws `refused` and `config` as `readMatched` does: HubSpot refuses a whole batch that names one record twice. */
export function readRecords(records: readonly PlannedRecord[], match: string): HubspotRecord[] {
  return readMatched(records, match, { value: text, fold: foldMatch })
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)
}
