import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../server/embedded/postgres.ts'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal, type EmbeddedTemporal } from '../../server/embedded/temporal.ts'

/** Arguments of a Temporal dev server that suggests to go on as new so early that a test can wait for it. */
export const TEN_EVENTS_ARE_LONG = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=10']

/** A state database and a Temporal server of a test's own, to be killed; each comes back on its data, at the same port. */
export class Servers {
  readonly #folder: string
  readonly #binary: string
  #postgres: EmbeddedPostgres
  #temporal: EmbeddedTemporal
  #postgresBack: Promise<void> = Promise.resolve()
  #temporalBack: Promise<void> = Promise.resolve()

  static async start(): Promise<Servers> {
    const folder = await mkdtemp(join(tmpdir(), 'tailrace-servers-'))
    const configured = process.env['TAILRACE_TEMPORAL_BINARY'] ?? null
    const binary = await findTemporalBinary({ configured, env: process.env, tell: () => {} })
    const [postgres, temporal] = await Promise.all([bringPostgres(folder), bringTemporal(folder, binary)])
    return new Servers(folder, binary, postgres, temporal)
  }

  private constructor(folder: string, binary: string, postgres: EmbeddedPostgres, temporal: EmbeddedTemporal) {
    this.#folder = folder
    this.#binary = binary
    this.#postgres = postgres
    this.#temporal = temporal
  }

  /** As startStack takes them. */
  get addresses(): { readonly postgres: string; readonly temporal: string } {
    return { postgres: this.#postgres.url, temporal: this.#temporal.address }
  }

  /** SIGKILL, once it is back from the time before; away until what this gives is called, which resolves when it is back. */
  async killPostgres(): Promise<() => Promise<void>> {
    await this.#postgresBack
    const port = Number(new URL(this.#postgres.url).port)
    await killed(this.#postgres)
    const bring = async (): Promise<void> => void (this.#postgres = await bringPostgres(this.#folder, port))
    return () => (this.#postgresBack = bring())
  }

  async killTemporal(): Promise<() => Promise<void>> {
    await this.#temporalBack
    const port = Number(this.#temporal.address.split(':')[1])
    await killed(this.#temporal)
    const bring = async (): Promise<void> => void (this.#temporal = await bringTemporal(this.#folder, this.#binary, port))
    return () => (this.#temporalBack = bring())
  }

  async stop(): Promise<void> {
    await Promise.all([this.#postgres.stop(), this.#temporal.stop()])
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function bringPostgres(folder: string, port?: number): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), ...(port === undefined ? {} : { port }), log: () => {} })
}

function bringTemporal(folder: string, binary: string, port?: number): Promise<EmbeddedTemporal> {
  return startTemporal({ binary, dataDir: join(folder, 'temporal'), ...(port === undefined ? {} : { port }), log: () => {} })
}

async function killed(server: EmbeddedPostgres | EmbeddedTemporal): Promise<void> {
  server.child.process.kill('SIGKILL')
  await server.child.ended
}
