import { createHash } from 'node:crypto'
import type { Destination, DestinationConnector, Source, SourceConnector } from '../connectors/contract.ts'
import { destinationConnector, sourceConnector } from '../connectors/registry.ts'
import { resolveReferences, type SecretSources } from './secrets.ts'

export interface Endpoint {
  readonly name: string
  readonly connector: string
  readonly config: Record<string, unknown>
}

/**
 * Opens sources and destinations with their references resolved anew each time, so that a rotated secret needs no restart. One
 * open destination per name is kept (it holds the connection pool); when its resolved config changes it is replaced.
 */
export class Connections {
  readonly #secrets: SecretSources
  readonly #open = new Map<string, { fingerprint: string; destination: Destination }>()

  constructor(secrets: SecretSources) {
    this.#secrets = secrets
  }

  async source(endpoint: Endpoint): Promise<{ connector: SourceConnector; source: Source }> {
    const connector = sourceConnector(endpoint.connector)
    return { connector, source: connector.open(await resolveReferences(endpoint.config, this.#secrets, connector.config)) }
  }

  async destination(endpoint: Endpoint): Promise<{ connector: DestinationConnector; destination: Destination }> {
    const connector = destinationConnector(endpoint.connector)
    const config = await resolveReferences(endpoint.config, this.#secrets, connector.config)
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([endpoint.connector, config]))
      .digest('hex')
    const known = this.#open.get(endpoint.name)
    if (known?.fingerprint === fingerprint) return { connector, destination: known.destination }
    const destination = connector.open(config)
    this.#open.set(endpoint.name, { fingerprint, destination })
    // Requests in flight on the old one end by themselves; close waits for them.
    if (known) await known.destination.close()
    return { connector, destination }
  }

  /** Destinations that were used here. */
  used(): { readonly name: string; readonly destination: Destination }[] {
    return [...this.#open].map(([name, { destination }]) => ({ name, destination }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ destination }) => destination.close()))
    this.#open.clear()
  }
}
