import type { PlannedRecord } from '../contract.ts'
import { readFields, readMatched, type MatchedRecord, type Scalar } from '../matched-records.ts'
import { foldMatch } from './compare.ts'
import type { SalesforceObject } from './object.ts'
import { relationshipName } from './relationships.ts'

/** Mapped names include relationships (`Account.Ext__c`). */
export type SalesforceRecord = MatchedRecord<Scalar>

/** Throws `refused` and `config` as `readMatched` does: in one call every row of a key that stands there twice would fail. */
export function readRecords(records: readonly PlannedRecord[], match: string, object: SalesforceObject): SalesforceRecord[] {
  const field = object.fields.get(match) ?? null
  return readMatched(records, match, { value: scalar, fold: (value) => foldMatch(value, field) })
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
  return Object.keys(readFields(line, scalar)).filter((name) => relationshipName(name) !== null)
}

function scalar(value: unknown): Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}
