import { stringify } from 'yaml'
import { isObject } from '../../connectors/json-object.ts'
import { SPECS, type Kind } from '../../state/spec.ts'
import { dbtExposures } from '../config/dbt-exposures.ts'
import type { Environment } from '../environment.ts'
import { apiClient, type ApiClient } from './api-client.ts'
import { CliError, EXIT } from './exit.ts'

const COLLECTIONS: readonly (readonly [Kind, string])[] = [
  ['Source', 'sources'],
  ['Model', 'models'],
  ['Destination', 'destinations'],
  ['Sync', 'syncs'],
  ['Notification', 'notifications'],
]

/** `tailrace export`: everything that is applied, as the documents that would apply it; or what of it a dbt project wants to know. */
export async function runExport(options: { readonly json?: boolean; readonly format: string }, env: Environment): Promise<void> {
  const client = apiClient(env)
  const documents: Record<string, unknown>[] = []
  for (const [kind, collection] of COLLECTIONS) {
    for (const resource of await listAll(client, collection)) documents.push(asDocument(kind, resource))
  }
  if (options.format === 'dbt-exposures') {
    const exposures = dbtExposures(documents)
    const content = { version: 2, exposures }
    process.stdout.write(options.json === true ? `${JSON.stringify(content, null, 2)}\n` : stringify(content, { lineWidth: 0 }))
    if (exposures.length === 0) process.stderr.write('No sync is on a dbt model: give its Model `dbt: { manifest, model }`, and apply.\n')
    return
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify(documents, null, 2)}\n`)
  else process.stdout.write(documents.map((document) => stringify(document, { lineWidth: 0 })).join('---\n'))
  if (documents.length === 0) process.stderr.write('Nothing is applied yet.\n')
}

async function listAll(client: ApiClient, collection: string): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: unknown = await client.get(`/v1/${collection}?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
    if (!isObject(page) || !Array.isArray(page['data']))
      throw new CliError(EXIT.failed, `The API's list of ${collection} has a shape that this CLI does not know.`)
    all.push(...page['data'].filter(isObject))
    cursor = typeof page['next'] === 'string' ? page['next'] : null
  }
  return all
}

/** Keys in the order of the schema: the database does not keep the one they were written in. */
function asDocument(kind: Kind, { name, ...rest }: Record<string, unknown>): Record<string, unknown> {
  const known = Object.keys(SPECS[kind].properties).filter((key) => rest[key] !== undefined)
  return { kind, name, ...Object.fromEntries(known.map((key) => [key, rest[key]])) }
}
