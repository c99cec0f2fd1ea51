import type pg from 'pg'
import type { Database } from '../../state/database.ts'

const CHANNEL = 'tailrace_run'

/**
 * Hears that runs changed, over one connection that listens. It speeds waiting up and is nothing to rely on: while the connection is
 * away, and before it is made, whoever waits looks again when the time is up.
 */
export class RunWatch {
  readonly #db: Database
  readonly #waiting = new Map<string, Set<() => void>>()
  #client: pg.PoolClient | null = null
  #connecting: Promise<void> | null = null
  #closed = false

  constructor(db: Database) {
    this.#db = db
  }

  /** Resolves when the run changed, after `ms`, or when the signal is aborted. Never rejects. */
  next(run: string, ms: number, signal: AbortSignal): Promise<void> {
    this.#listen()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        const others = this.#waiting.get(run)
        others?.delete(done)
        if (others?.size === 0) this.#waiting.delete(run)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done, { once: true })
      const waiting = this.#waiting.get(run) ?? new Set()
      this.#waiting.set(run, waiting.add(done))
      if (signal.aborted) done()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#connecting
    this.#drop()
  }

  #listen(): void {
    if (this.#closed || this.#client || this.#connecting) return
    this.#connecting = this.#connect()
      .catch(() => undefined)
      .finally(() => {
        this.#connecting = null
      })
  }

  async #connect(): Promise<void> {
    const client = await this.#db.connect()
    this.#client = client
    client.on('error', () => this.#drop())
    client.on('notification', ({ channel, payload }) => {
      if (channel === CHANNEL && payload !== undefined) for (const wake of [...(this.#waiting.get(payload) ?? [])]) wake()
    })
    await client.query(`listen ${CHANNEL}`).catch(() => this.#drop())
  }

  #drop(): void {
    const client = this.#client
    this.#client = null
    client?.release(true)
  }
}
