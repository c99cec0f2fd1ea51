import type { FieldDescription, RequestGate, WriteRequest } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { HubspotClient } from './client.ts'
import { holdsValue } from './compare.ts'
import { lookUp, type Stored } from './lookup.ts'
import { readRecords, type HubspotRecord } from './record.ts'

export type ReadBack = 'as_wanted' | 'differs' | 'absent'

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
  const { match } = request
  if (match === null) throw new ConnectorError('config', `a HubSpot sync needs a match field (sync ${request.sync})`)
  const records = readRecords(request.records, match)
  const types = new Map(fields.map((field) => [field.name, field.type]))
  const properties = [...new Set(records.flatMap((record) => Object.keys(record.properties)))]
  const found = await lookUp({ client, type, match, records, properties, gate }).catch((error: unknown) => {
    // A match value that HubSpot will not even look up: no record has it, and sending it again brings the refusal to light.
    if (error instanceof ConnectorError && error.kind === 'refused' && records.length === 1) return null
    throw error
  })
  if (found === null) return new Map(records.map((record) => [record.id, record.op === 'delete' ? 'differs' : 'absent']))
  return new Map(records.map((record) => [record.id, judge(record, found.get(record.folded), match, types)]))
}

function judge(record: HubspotRecord, stored: Stored | undefined, match: string, types: ReadonlyMap<string, string>): ReadBack {
  // A record that only answers by an additional address is not the one that was to go.
  if (record.op === 'delete') return stored === undefined || stored.alias ? 'as_wanted' : 'differs'
  if (stored === undefined) return 'absent'
  const equal = Object.entries(record.properties).every(
    ([name, wanted]) => name === match || holdsValue(types.get(name) ?? '', stored.properties.get(name), wanted),
  )
  return equal ? 'as_wanted' : 'differs'
}
