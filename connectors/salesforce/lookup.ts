import type { RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { isObject, objectsAt, textAt, type JsonObject } from '../json-object.ts'
import type { SalesforceClient } from './client.ts'
import { foldMatch, isNumber } from './compare.ts'
import type { SalesforceObject } from './object.ts'
import { errorsOf } from './envelope.ts'
import { lookUpPaths, quoted } from './soql.ts'

/** A record as a query shows it. */
export interface Stored {
  readonly id: string
  readonly values: JsonObject
}

/**
 * Reads records by their match values: folded match value → records, several where the field is not unique. What is not there is
 * absent. As many queries as the length of a URL asks for; each is asked for until its last page, and counted: an absence that is
 * not true would create a record twice. Throws `refused` if Salesforce does not take a value, `unreachable` for an answer that is
 * not whole.
 */
export async function lookUp({
  client,
  object,
  match,
  values,
  fields,
  gate,
}: {
  client: SalesforceClient
  object: SalesforceObject
  match: string
  values: readonly string[]
  fields: readonly string[]
  gate: RequestGate
}): Promise<ReadonlyMap<string, readonly Stored[]>> {
  const field = object.fields.get(match) ?? null
  const literals = values.map((value) => (field !== null && isNumber(field.type) ? value : quoted(value)))
  const asked = [...new Set(['Id', match, ...fields])]
  const found = new Map<string, Stored[]>()
  for (const path of lookUpPaths(object.name, asked, match, literals)) {
    for await (const record of pages(client, path, gate, `a look-up of ${object.name} by ${match}`)) {
      const id = textAt(record, 'Id')
      const own = record[match]
      if (id === null || (typeof own !== 'string' && typeof own !== 'number')) continue
      const folded = foldMatch(String(own), field)
      found.set(folded, [...(found.get(folded) ?? []), { id, values: record }])
    }
  }
  return found
}

async function* pages(client: SalesforceClient, first: string, gate: RequestGate, what: string): AsyncGenerator<JsonObject> {
  let seen = 0
  for (let path: string | null = first; path !== null;) {
    const { status, body } = await client.call({ method: 'GET', path, gate, what, writes: false })
    if (status >= 300) throw refused(status, body, what)
    const page = isObject(body) ? body : null
    const records = objectsAt(page, 'records')
    seen += records.length
    yield* records
    const next = textAt(page, 'nextRecordsUrl')
    if (next === null && (page?.['done'] !== true || page['totalSize'] !== seen))
      throw new ConnectorError('unreachable', `Salesforce answered ${what} with less than it found`)
    path = next === null ? null : next.slice(next.indexOf('/query'))
  }
}

function refused(status: number, body: unknown, what: string): ConnectorError {
  const code = errorsOf(body)[0]?.code ?? String(status)
  return new ConnectorError('refused', `Salesforce refused ${what} (${status} ${code})`, { code })
}
