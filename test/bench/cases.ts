import type { BenchWorker } from './bench-worker.ts'
import { csvRate } from './csv-rate.ts'
import type { Ground } from './ground.ts'
import type { BenchOptions } from './options.ts'
import { configure, runSync, type Measured } from './run-sync.ts'
import { baselineBytesPerRecord, startCounting, stateCosts } from './state-costs.ts'
import { median } from './median.ts'
import { describeTimeline } from './timeline.ts'
import { ACCOUNT_FIELDS, changeRows, fillSnowflake, fillWarehouse } from './warehouse.ts'
import { bareBulk, bareScript, durableScript, plainCopy, plainSnowflake } from './yardsticks.ts'

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
  readonly eventLoop: { readonly p999Ms: number; readonly maxMs: number }
  /** Bytes of the state database; null where the case does not settle or keep anything. */
  readonly walBytesPerBatch: number | null
  readonly baselineBytesPerRecord: number | null
  /** What the product is compared with. */
  readonly yardstick: string
  /** Seconds that the median should stay within, given the yardstick's. */
  readonly target: (rawSeconds: number) => number
}

type Tell = (line: string) => void

export async function measureFirst(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  const { rows, batch, concurrency, latencyMs, repeat } = options
  await fillWarehouse(ground.warehouse, rows)
  const worker = await ground.startWorker(options)
  await startCounting(ground.state)
  const rounds: Round[] = []
  const durable: number[] = []
  for (let round = 1; round <= repeat; round++) {
    const rawSeconds = await bareScript(ground, options, 'everything')
    if (latencyMs === 0) durable.push(await durableScript(ground, options))
    // A sync that never ran has no baseline.
    await configure(ground, options, `first-${round}`)
    rounds.push(note({ rawSeconds, product: await runSync(ground, `first-${round}`, { records: rows }) }, tell))
  }
  const ceilingSeconds = (rows * latencyMs) / 1000 / (batch * concurrency)
  const durableSeconds = median(durable)
  if (latencyMs === 0) tell(`the script that stages and settles every batch: ${durableSeconds.toFixed(2)} s`)
  const target = (): number => (latencyMs === 0 ? durableSeconds / 0.35 : ceilingSeconds / 0.65)
  return { rounds, records: rows, yardstick: 'bare script', target, ...(await lastLook(ground, worker)) }
}

/** A first load by several workers, each with its own requests in flight, beside the same by one of them. */
export async function measureWorkers(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  await fillWarehouse(ground.warehouse, options.rows)
  const worker = await ground.startWorker(options)
  await startCounting(ground.state)
  const rounds: Round[] = []
  const load = async (sync: string): Promise<Measured> => {
    await configure(ground, options, sync)
    return runSync(ground, sync, { records: options.rows })
  }
  for (let round = 1; round <= options.repeat; round++) {
    const { seconds: rawSeconds } = await load(`one-${round}`)
    const others = await Promise.all(Array.from({ length: options.workers - 1 }, () => ground.startWorker()))
    rounds.push(note({ rawSeconds, product: await load(`several-${round}`) }, tell))
    await Promise.all(others.map((other) => other.stop()))
  }
  // Two workers: 1.7 times as fast as one.
  const target = (rawSeconds: number): number => rawSeconds / (0.85 * options.workers)
  return { rounds, records: options.rows, yardstick: 'one worker', target, ...(await lastLook(ground, worker)) }
}

/** What a case tells besides its times; the worker is stopped. */
async function lastLook(
  ground: Ground,
  worker: BenchWorker,
): Promise<Pick<CaseResult, 'peakRssMb' | 'eventLoop' | 'walBytesPerBatch' | 'baselineBytesPerRecord'>> {
  const { walBytesPerBatch } = await stateCosts(ground.state)
  const [peakRssMb, eventLoop] = [await worker.peakRssMb(), await worker.eventLoop()]
  await worker.stop()
  return { peakRssMb, eventLoop, walBytesPerBatch, baselineBytesPerRecord: await baselineBytesPerRecord(ground.state) }
}

export async function measureNochange(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  await adopted(ground, options)
  const worker = await ground.startWorker(options)
  await startCounting(ground.state)
  const rounds: Round[] = []
  for (let round = 1; round <= options.repeat; round++) {
    const rawSeconds = ground.snowflake === null ? await plainCopy(ground) : await plainSnowflake(ground.snowflake)
    rounds.push(note({ rawSeconds, product: await runSync(ground, 'bench', { records: 0 }) }, tell))
  }
  const target = (rawSeconds: number): number => 1.3 * rawSeconds + 1
  const yardstick = ground.snowflake === null ? 'plain COPY' : 'bare driver'
  return { rounds, records: options.rows, yardstick, target, ...(await lastLook(ground, worker)) }
}

/** One row in `every` is changed before each round. */
export async function measureChanges(ground: Ground, options: BenchOptions, every: number, tell: Tell): Promise<CaseResult> {
  await adopted(ground, options)
  const worker = await ground.startWorker(options)
  await startCounting(ground.state)
  const rounds: Round[] = []
  let records = 0
  for (let round = 1; round <= options.repeat; round++) {
    await bareScript(ground, options, 'remember')
    records = await changeRows(ground.warehouse, every, round)
    const rawSeconds = await bareScript(ground, options, 'changes')
    rounds.push(note({ rawSeconds, product: await runSync(ground, 'bench', { records }) }, tell))
  }
  const target = (rawSeconds: number): number => (records === 1 ? 1.5 : 2 * rawSeconds + 1)
  return { rounds, records, yardstick: 'bare script', target, ...(await lastLook(ground, worker)) }
}

/** A first load by bulk jobs. */
export async function measureBulk(ground: Ground, options: BenchOptions, tell: Tell): Promise<CaseResult> {
  await fillWarehouse(ground.warehouse, options.rows)
  const worker = await ground.startWorker(options)
  await startCounting(ground.state)
  const rounds: Round[] = []
  for (let round = 1; round <= options.repeat; round++) {
    const rawSeconds = await bareBulk(ground)
    await configure(ground, options, `bulk-${round}`)
    rounds.push(note({ rawSeconds, product: await runSync(ground, `bulk-${round}`, { records: options.rows }) }, tell))
  }
  tell(`CSV from frozen records: ${Math.round(await csvRate(ground.state, ACCOUNT_FIELDS, 'External_Id__c'))} records/s`)
  const target = (rawSeconds: number): number => 4 * rawSeconds + 5
  return { rounds, records: options.rows, yardstick: 'bare bulk script', target, ...(await lastLook(ground, worker)) }
}

/** A full warehouse and a baseline that agrees with it, made by a worker that is gone before anything is measured. */
async function adopted(ground: Ground, options: BenchOptions): Promise<void> {
  if (ground.snowflake === null) await fillWarehouse(ground.warehouse, options.rows)
  else await fillSnowflake(ground.snowflake, options.rows)
  await configure(ground, options, 'bench')
  const worker = await ground.startWorker()
  await runSync(ground, 'bench', { records: 0, adopt: true })
  // The planner's copy is made by the first plan that compares, its hashes are learnt by the second.
  if (options.source === 'planner') for (let round = 1; round <= 2; round++) await runSync(ground, 'bench', { records: 0 })
  await worker.stop()
}

function note(round: Round, tell: Tell): Round {
  const { rawSeconds, product } = round
  tell(`raw ${rawSeconds.toFixed(2)} s · product ${product.seconds.toFixed(2)} s · ${describeTimeline(product.timeline)}`)
  return round
}
