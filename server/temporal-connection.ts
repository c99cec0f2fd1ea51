import { Connection, type ConnectionLike, type ConnectionOptions } from '@temporalio/client'
import type { TemporalSettings } from './settings.ts'

/** The client's connection, which may be replaced under those who hold it. Connects with the first call and again after an outage. */
export class TemporalConnection implements ConnectionLike {
  readonly #ways: ConnectionOptions
  #current: Connection

  constructor(options: TemporalSettings['connection'], ways: ConnectionOptions = {}) {
    this.#ways = ways
    this.#current = Connection.lazy({ ...options, ...ways })
  }

  /** Rejects, and leaves the connection as it is, when Temporal cannot be reached by these options. Calls in flight end as they would. */
  async replace(options: TemporalSettings['connection']): Promise<void> {
    const next = await Connection.connect({ ...options, ...this.#ways })
    const before = this.#current
    this.#current = next
    await before.close()
  }

  get workflowService(): Connection['workflowService'] {
    return this.#current.workflowService
  }

  get operatorService(): Connection['operatorService'] {
    return this.#current.operatorService
  }

  get plugins(): Connection['plugins'] {
    return this.#current.plugins
  }

  ensureConnected(): Promise<void> {
    return this.#current.ensureConnected()
  }

  withDeadline<R>(deadline: number | Date, call: () => Promise<R>): Promise<R> {
    return this.#current.withDeadline(deadline, call)
  }

  withMetadata<R>(metadata: Parameters<Connection['withMetadata']>[0], call: () => Promise<R>): Promise<R> {
    return this.#current.withMetadata(metadata, call)
  }

  withAbortSignal<R>(signal: AbortSignal, call: () => Promise<R>): Promise<R> {
    return this.#current.withAbortSignal(signal, call)
  }

  close(): Promise<void> {
    return this.#current.close()
  }
}
