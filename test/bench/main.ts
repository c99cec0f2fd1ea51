import { inspect } from 'node:util'
import { measureChanges, measureFirst, measureNochange, type CaseResult } from './cases.ts'
import { startGround, type Ground } from './ground.ts'
import { readOptions, UsageError, type BenchOptions } from './options.ts'

/**
 * `npm run bench -- --case first|nochange|delta|small --rows N [--latency MS] [--batch N] [--concurrency N] [--repeat N] [--profile DIR]`:
 * one JSON line on stdout, talk on stderr. Everything it starts it stops.
 */
const USAGE = 64

const tell = (line: string): void => void process.stderr.write(`${line}\n`)

try {
  process.exitCode = await bench(readOptions(process.argv.slice(2)))
} catch (error) {
  tell(error instanceof UsageError ? error.message : inspect(error))
  process.exitCode = error instanceof UsageError ? USAGE : 1
}

async function bench(options: BenchOptions): Promise<number> {
  if (options.case === 'idle' || options.case === 'bulk') throw new UsageError(`--case ${options.case}: not measured yet`)
  const stops: (() => Promise<unknown>)[] = []
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => (stopping ??= stopAll(stops))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(1)))
  }
  try {
    const ground = await startGround(options, stops, tell)
    const result = await measure(ground, options)
    report(options, result)
    return 0
  } finally {
    await stop()
  }
}

async function stopAll(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const stop of stops) await stop().catch((error: unknown) => tell(`could not be stopped: ${String(error)}`))
}

function measure(ground: Ground, options: BenchOptions): Promise<CaseResult> {
  switch (options.case) {
    case 'first':
      return measureFirst(ground, options, tell)
    case 'nochange':
      return measureNochange(ground, options, tell)
    case 'delta':
      return measureChanges(ground, options, 100, tell)
    case 'small':
      return measureChanges(ground, options, options.rows, tell)
    case 'idle':
    case 'bulk':
      throw new UsageError('not measured yet')
  }
}

function report(options: BenchOptions, { rounds, records, peakRssMb, yardstick, target }: CaseResult): void {
  const seconds = median(rounds.map(({ product }) => product.seconds))
  const rawSeconds = median(rounds.map((round) => round.rawSeconds))
  const events = Math.max(...rounds.map(({ product }) => product.historyEvents))
  const requests = median(rounds.map(({ product }) => product.requests))
  const limit = target(rawSeconds)
  tell(
    `median of ${rounds.length}: ${seconds.toFixed(2)} s, ${yardstick} ${rawSeconds.toFixed(2)} s; ` +
      `target at most ${limit.toFixed(2)} s: ${seconds <= limit ? 'met' : 'missed'}`,
  )
  const line = {
    case: options.case,
    rows: options.rows,
    seconds: round(seconds, 3),
    rowsPerSecond: Math.round(records / seconds),
    peakRssMb,
    requests,
    historyEvents: events,
    ratioToRaw: round(seconds / rawSeconds, 2),
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : [sorted[middle - 1], sorted[middle]]
  return ((low ?? NaN) + (high ?? NaN)) / 2
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
