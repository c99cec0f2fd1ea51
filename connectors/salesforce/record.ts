import type { PlannedRecord } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { isObject } from '../json-object.ts'
import { foldMatch } from './compare.ts'
import type { SalesforceObject } from './object.ts'
import { relationshipName } from './relationships.ts'

export type Scalar = string | number | boolean | null

/** A planned record, read from its frozen line. */
export interface SalesforceRecord {
  readonly id: string
  readonly op: 'upsert' | 'delete'
  /** The match value as it is sent, and as Salesforce compares it. */
  readonly match: string
  readonly folded: string
  /** Mapped names to values, the match field and relationships (`Account.Ext__c`) included. */
  readonly fields: Readonly<Record<string, Scalar>>
}

/**
 * Reads the lines of a batch. Throws `refused`, so that the batch is split, when two of its records name the same record (in one
 * call every row of such a key would fail) or when it mixes writes and deletes; `config` when a line lacks the match field.
 */
export function readRecords(records: readonly PlannedRecord[], match: string, object: SalesforceObject): SalesforceRecord[] {
  const seen = new Set<string>()
  const field = object.fields.get(match) ?? null
  return records.map((record) => {
    const fields = readFields(record.line)
    const value = fields[match]
    if (value === undefined || value === null || value === '')
      throw new ConnectorError('config', `a planned record has no value for the match field ${match}; map it and plan again`)
    const folded = foldMatch(String(value), field)
    if (seen.has(folded))
      throw new ConnectorError('refused', `two records of the batch have the same ${match}; Salesforce takes one of them per call`)
    if (record.op !== records[0]?.op)
      throw new ConnectorError('refused', 'the batch mixes writes and deletes; Salesforce has separate calls for them')
    seen.add(folded)
    return { id: record.id, op: record.op, match: String(value), folded, fields }
  })
}

/**
 * The fields as a JSON body takes them: a related record as a nested object; its absence as null in the lookup field, because a
 * nested null is refused; a cleared checkbox as false, because it knows no null.
 */
export function bodyOf({ fields }: SalesforceRecord, object: SalesforceObject): Record<string, unknown> {
  const body: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    const field = object.fields.get(name)
    const related = relationshipName(name)
    if (related === null) body[name] = value === null && field?.type === 'boolean' ? false : value
    else if (value === null) body[field?.lookup ?? `${related.relationship}Id`] = null
    else {
      const type = related.object === null ? {} : { attributes: { type: related.object } }
      body[related.relationship] = { ...type, [related.field]: value }
    }
  }
  return body
}

/** Names among a line's fields that go over a relationship. */
export function relationshipsIn(line: string): string[] {
  return Object.keys(readFields(line)).filter((name) => relationshipName(name) !== null)
}

function readFields(line: string): Record<string, Scalar> {
  const parsed: unknown = JSON.parse(line)
  const fields = isObject(parsed) ? parsed['fields'] : null
  if (!isObject(fields)) throw new ConnectorError('config', 'a planned record has no fields')
  // In place: a copy of every record is a third of what building a CSV costs.
  const scalars: Record<string, unknown> = fields
  for (const name of Object.keys(scalars)) scalars[name] = scalar(scalars[name])
  return scalars as Record<string, Scalar>
}

function scalar(value: unknown): Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}
