import type { ReadBack, RequestGate, WriteRequest } from '../contract.ts'
import { isObject } from '../json-object.ts'
import { matchFieldOf, readBackBy } from '../matched-records.ts'
import type { SalesforceClient } from './client.ts'
import { foldMatch, holdsValue } from './compare.ts'
import type { SalesforceObject } from './object.ts'
import { lookUp, type Stored } from './lookup.ts'
import { readRecords, type SalesforceRecord } from './record.ts'
import { relationshipName } from './relationships.ts'

/**
 * Reads the batch's records by their match values and tells which already are as wanted: every field of the line, compared as
 * Salesforce normalises it; for a delete: not there. Changes nothing, may be repeated. Throws as a look-up does, `refused` included.
 */
export async function readBackBatch({
  client,
  object,
  request,
  gate,
}: {
  client: SalesforceClient
  object: SalesforceObject
  request: WriteRequest
  gate: RequestGate
}): Promise<Map<string, ReadBack>> {
  const match = matchFieldOf(request, 'Salesforce')
  const records = readRecords(request.records, match, object)
  const fields = [...new Set(records.flatMap((record) => Object.keys(record.fields)))].map(selectable)
  const values = records.map((record) => record.match)
  return readBackBy(
    records,
    () => lookUp({ client, object, match, values, fields, gate }),
    (record, stored = []) => judge(record, stored, match, object),
  )
}

/** A relationship's name as SOQL has it: without the object that a polymorphic one needs. */
function selectable(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

function judge(record: SalesforceRecord, stored: readonly Stored[], match: string, object: SalesforceObject): ReadBack {
  const [only, ...others] = stored
  if (record.op === 'delete') return only === undefined ? 'as_wanted' : 'differs'
  if (only === undefined) return 'absent'
  const equal = Object.entries(record.fields).every(([name, wanted]) => {
    if (name === match) return true
    const field = object.fields.get(name)
    const related = relationshipName(name)
    if (related === null) return holdsValue(field?.type ?? '', only.values[name], wanted)
    const parent = only.values[related.relationship]
    const have = isObject(parent) ? parent[related.field] : null
    if (typeof have !== 'string' && typeof have !== 'number') return wanted === null
    return wanted !== null && foldMatch(String(have), field ?? null) === foldMatch(String(wanted), field ?? null)
  })
  return equal && others.length === 0 ? 'as_wanted' : 'differs'
}
