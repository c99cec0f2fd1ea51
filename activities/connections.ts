import { createHash } from 'node:crypto'
import type { Destination, DestinationConnector } from '../connectors/contract.ts'
import type { Source, SourceConnector } from '../connectors/source-contract.ts'
import { destinationConnector, sourceConnector } from '../connectors/registry.ts'
import { resolveReferences, resolveText, type SecretSources } from './secrets.ts'

/** A source or destination as it is configured: references are unresolved. */
export interface Endpoint {
  readonly name: string
  readonly connector: string
  readonly config: Record<string, unknown>
}

/** No activity delivers for longer: a destination that nobody asked for meanwhile is in nobody's hands. */
const UNUSED_MS = 3_600_000

/**
 * Opens sources and destinations with their references resolved anew each time, so that a rotated secret needs no restart. An open
 * destination is kept (it holds the connection pool) by name and resolved config: a run goes by the one that was frozen for it, and must
 * not lose its connections because another run's is newer.
 */
export class Connections {
  readonly #secrets: SecretSources
  readonly #open = new Map<string, { name: string; destination: Destination; usedAtMs: number }>()

  constructor(secrets: SecretSources) {
    this.#secrets = secrets
  }

  /** One string of a configuration, with its references resolved. Throws `config` that calls it by `name`. */
  text(name: string, text: string): Promise<string> {
    return resolveText(name, text, this.#secrets)
  }

  async source(endpoint: Endpoint): Promise<{ connector: SourceConnector; source: Source }> {
    const connector = sourceConnector(endpoint.connector)
    return { connector, source: connector.open(await resolveReferences(endpoint.config, this.#secrets, connector.config)) }
  }

  async destination(endpoint: Endpoint): Promise<{ connector: DestinationConnector; destination: Destination }> {
    const connector = destinationConnector(endpoint.connector)
    const config = await resolveReferences(endpoint.config, this.#secrets, connector.config)
    const now = performance.now()
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([endpoint.name, endpoint.connector, config]))
      .digest('hex')
    const known = this.#open.get(fingerprint)
    if (known) {
      known.usedAtMs = now
      return { connector, destination: known.destination }
    }
    const destination = connector.open(config)
    this.#open.set(fingerprint, { name: endpoint.name, destination, usedAtMs: now })
    await this.#closeUnused(now)
    return { connector, destination }
  }

  async #closeUnused(now: number): Promise<void> {
    const unused = [...this.#open].filter(([, { usedAtMs }]) => now - usedAtMs > UNUSED_MS)
    for (const [fingerprint] of unused) this.#open.delete(fingerprint)
    await Promise.all(unused.map(([, { destination }]) => destination.close()))
  }

  /** Destinations that were used here, each as it was used last. */
  used(): { readonly name: string; readonly destination: Destination }[] {
    const oldestFirst = [...this.#open.values()].sort((a, b) => a.usedAtMs - b.usedAtMs)
    return [...new Map(oldestFirst.map(({ name, destination }) => [name, destination]))].map(([name, destination]) => ({
      name,
      destination,
    }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ destination }) => destination.close()))
    this.#open.clear()
  }
}
