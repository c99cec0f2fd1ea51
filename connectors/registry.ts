import type { DestinationConnector } from './contract.ts'
import type { SourceConnector } from './source-contract.ts'
import { ConnectorError } from './errors.ts'
import { hubspot } from './hubspot/index.ts'
import { nearest } from './nearest.ts'
import { postgres } from './postgres/index.ts'
import { redshift } from './redshift/index.ts'
import { salesforce } from './salesforce/index.ts'
import { snowflake } from './snowflake/index.ts'
import { webhook } from './webhook/index.ts'

/** Every connector there is, by slug. A new one is added here and nowhere else. */
export const sources: ReadonlyMap<string, SourceConnector> = new Map(
  [postgres, redshift, snowflake].map((connector) => [connector.slug, connector]),
)
export const destinations: ReadonlyMap<string, DestinationConnector> = new Map(
  [hubspot, salesforce, webhook].map((connector) => [connector.slug, connector]),
)

/** Throws `config` with the nearest names for a slug that is none. */
export function sourceConnector(slug: string): SourceConnector {
  return find(sources, slug, 'source')
}

/** Throws `config` with the nearest names for a slug that is none. */
export function destinationConnector(slug: string): DestinationConnector {
  return find(destinations, slug, 'destination')
}

function find<T>(connectors: ReadonlyMap<string, T>, slug: string, what: string): T {
  const found = connectors.get(slug)
  if (found !== undefined) return found
  throw new ConnectorError('config', `there is no ${what} connector "${slug}"; nearest: ${nearest(slug, connectors.keys()).join(', ')}`)
}
