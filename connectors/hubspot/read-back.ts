import type { FieldDescription, ReadBack, RequestGate, WriteRequest } from '../contract.ts'
import { matchFieldOf, readBackBy } from '../matched-records.ts'
import type { HubspotClient } from './client.ts'
import { holdsValue } from './compare.ts'
import { lookUp, type Stored } from './lookup.ts'
import { readRecords, type HubspotRecord } from './record.ts'

/**
 * Reads the batch's records by their match values and tells which already are as wanted: every property of the line, compared as
 * HubSpot normalises it; for a delete: not there. Changes nothing, may be repeated. Throws as a look-up does, `refused` included.
 */
export async function readBackBatch({
  client,
  type,
  fields,
  request,
  gate,
}: {
  client: HubspotClient
  type: string
  fields: readonly FieldDescription[]
  request: WriteRequest
  gate: RequestGate
}): Promise<Map<string, ReadBack>> {
  const match = matchFieldOf(request, 'HubSpot')
  const records = readRecords(request.records, match)
  const types = new Map(fields.map((field) => [field.name, field.type]))
  const properties = [...new Set(records.flatMap((record) => Object.keys(record.fields)))]
  return readBackBy(
    records,
    () => lookUp({ client, type, match, records, properties, gate }),
    (record, stored) => judge(record, stored, match, types),
  )
}

function judge(record: HubspotRecord, stored: Stored | undefined, match: string, types: ReadonlyMap<string, string>): ReadBack {
  // A record that only answers by an additional address is not the one that was to go.
  if (record.op === 'delete') return stored === undefined || stored.alias ? 'as_wanted' : 'differs'
  if (stored === undefined) return 'absent'
  const equal = Object.entries(record.fields).every(
    ([name, wanted]) => name === match || holdsValue(types.get(name) ?? '', stored.properties.get(name), wanted),
  )
  return equal ? 'as_wanted' : 'differs'
}
