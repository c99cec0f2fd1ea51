import { join } from 'node:path'
import { measured } from './child.ts'
import type { Ground } from './ground.ts'
import type { BenchOptions } from './options.ts'
import { configure, runSync, type Measured } from './run-sync.ts'
import { describeTimeline } from './timeline.ts'
import { changeRows, fillWarehouse } from './warehouse.ts'

/** One measurement: the yardstick and the product, one right after the other. */
export interface Round {
  readonly rawSeconds: number
  readonly product: Measured
}

export interface CaseResult {
  readonly rounds: readonly Round[]
  /** Records that one run sends; for nochange, rows that it compares. */
  readonly records: number
  readonly peakRssMb: number | null
  /** What the product is compared with. */
  readonly yardstick: string
  /** Seconds that the median should stay within, given the yardstick's. */
  readonly target: (rawSeconds: number) => number
}

type Tell = (line: string) => void

const BARE = new URL('./bare-script.ts', import.meta.url)
const PLAIN_COPY = new URL('./plain-copy.ts', import.meta.url)

export async function measureFirst(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  const { rows, batch, concurrency, latencyMs, repeat } = options
  await fillWarehouse(ground.warehouse, rows)
  const worker = await ground.startWorker(options)
  const rounds: Round[] = []
  for (let round = 1; round <= repeat; round++) {
    const rawSeconds = await measured(BARE, { ...bareInput(ground, options), known: null }, 'the bare script')
    // A sync that never ran has no baseline.
    await configure(ground, options, `first-${round}`)
    rounds.push(note({ rawSeconds, product: await runSync(ground, `first-${round}`, { records: rows }) }, tell))
  }
  const peakRssMb = await worker.peakRssMb()
  await worker.stop()
  const ceilingSeconds = (rows * latencyMs) / 1000 / (batch * concurrency)
  const target = (rawSeconds: number): number => (latencyMs === 0 ? rawSeconds / 0.35 : ceilingSeconds / 0.65)
  return { rounds, records: rows, peakRssMb, yardstick: 'bare script', target }
}

export async function measureNochange(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  await adopted(ground, options)
  const worker = await ground.startWorker(options)
  const rounds: Round[] = []
  for (let round = 1; round <= options.repeat; round++) {
    const rawSeconds = await measured(PLAIN_COPY, { url: ground.warehouseUrl }, 'the plain COPY')
    rounds.push(note({ rawSeconds, product: await runSync(ground, 'bench', { records: 0 }) }, tell))
  }
  const peakRssMb = await worker.peakRssMb()
  await worker.stop()
  return { rounds, records: options.rows, peakRssMb, yardstick: 'plain COPY', target: (rawSeconds) => 1.3 * rawSeconds + 1 }
}

/** One row in `every` is changed before each round. */
export async function measureChanges(ground: Ground, options: BenchOptions, every: number, tell: Tell): Promise<CaseResult> {
  await adopted(ground, options)
  const hashes = join(ground.folder, 'hashes')
  const keep = (): Promise<number> => measured(BARE, { ...bareInput(ground, options), sink: null, keep: hashes }, 'the bare script')
  const worker = await ground.startWorker(options)
  const rounds: Round[] = []
  let records = 0
  for (let round = 1; round <= options.repeat; round++) {
    await keep()
    records = await changeRows(ground.warehouse, every, round)
    const rawSeconds = await measured(BARE, { ...bareInput(ground, options), known: hashes }, 'the bare script')
    rounds.push(note({ rawSeconds, product: await runSync(ground, 'bench', { records }) }, tell))
  }
  const peakRssMb = await worker.peakRssMb()
  await worker.stop()
  const target = (rawSeconds: number): number => (records === 1 ? 1.5 : 2 * rawSeconds + 1)
  return { rounds, records, peakRssMb, yardstick: 'bare script', target }
}

/** A full warehouse and a baseline that agrees with it, made by a worker that is gone before anything is measured. */
async function adopted(ground: Ground, options: BenchOptions): Promise<void> {
  await fillWarehouse(ground.warehouse, options.rows)
  await configure(ground, options, 'bench')
  const worker = await ground.startWorker()
  await runSync(ground, 'bench', { records: 0, adopt: true })
  await worker.stop()
}

function bareInput(ground: Ground, { batch, concurrency }: BenchOptions): object {
  return { url: ground.warehouseUrl, sink: ground.sinkUrl, batch, concurrency }
}

function note(round: Round, tell: Tell): Round {
  const { rawSeconds, product } = round
  tell(`raw ${rawSeconds.toFixed(2)} s · product ${product.seconds.toFixed(2)} s · ${describeTimeline(product.timeline)}`)
  return round
}
