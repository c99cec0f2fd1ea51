import type { PlannedRecord } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { foldMatch } from './compare.ts'

/** A planned record, read from its frozen line. `properties` are the encoded fields: names to HubSpot's texts. */
export interface HubspotRecord {
  readonly id: string
  readonly op: 'upsert' | 'delete'
  /** The match value as it is sent, and as HubSpot compares it. */
  readonly match: string
  readonly folded: string
  readonly properties: Readonly<Record<string, string>>
}

/**
 * Reads the lines of a batch. Throws `refused`, so that the batch is split, when two of its records name the same HubSpot record
 * (HubSpot refuses the whole batch for that) or when it mixes writes and deletes; `config` when a line lacks the match field.
 */
export function readRecords(records: readonly PlannedRecord[], match: string): HubspotRecord[] {
  const seen = new Set<string>()
  return records.map((record) => {
    const properties = readFields(record.line)
    const value = properties[match]
    if (value === undefined || value === '')
      throw new ConnectorError('config', `a planned record has no value for the match field ${match}; map it and plan again`)
    const folded = foldMatch(value)
    if (seen.has(folded))
      throw new ConnectorError('refused', `two records of the batch have the same ${match}; HubSpot takes one of them per batch`)
    if (record.op !== records[0]?.op)
      throw new ConnectorError('refused', 'the batch mixes writes and deletes; HubSpot has separate calls for them')
    seen.add(folded)
    return { id: record.id, op: record.op, match: value, folded, properties }
  })
}

function readFields(line: string): Record<string, string> {
  const parsed: unknown = JSON.parse(line)
  const fields = typeof parsed === 'object' && parsed !== null && 'fields' in parsed ? parsed.fields : null
  if (typeof fields !== 'object' || fields === null) throw new ConnectorError('config', 'a planned record has no fields')
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value),
    ]),
  )
}
