import { inspect } from 'node:util'
import { checkRatios } from './check.ts'
import { measureBulk, measureChanges, measureFirst, measureNochange, measureWorkers, type CaseResult } from './cases.ts'
import { startGround, type Ground } from './ground.ts'
import { measureIdle } from './idle.ts'
import { caseLine, idleLine, type Line } from './lines.ts'
import { readOptions, UsageError, type BenchOptions, type Case } from './options.ts'

/**
 * `npm run bench -- --case first|nochange|delta|small|idle|bulk --rows N [--latency MS] [--batch N] [--concurrency N] [--workers N]
 * [--repeat N] [--minutes N] [--source postgres|snowflake] [--profile DIR]`: one JSON line on stdout, talk on stderr. Everything it starts it stops.
 * `-- --check`: measures what recorded.json holds, and fails where a ratio has grown.
 */
const USAGE = 64

const tell = (line: string): void => void process.stderr.write(`${line}\n`)

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  tell(error instanceof UsageError ? error.message : inspect(error))
  process.exitCode = error instanceof UsageError ? USAGE : 1
}

async function main(args: readonly string[]): Promise<number> {
  const stops: (() => Promise<unknown>)[] = []
  const stop = (): Promise<void> => stopAll(stops.splice(0))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(1)))
  }
  const bench = async (options: BenchOptions): Promise<Line> => {
    try {
      const ground = await startGround(options, stops, tell)
      return options.case === 'idle'
        ? idleLine(options, await measureIdle(ground, options, tell), tell)
        : caseLine(options, await measure(ground, options, options.case), tell)
    } finally {
      await stop()
    }
  }
  if (args.length === 1 && args[0] === '--check') return (await checkRatios(bench, tell)) ? 0 : 1
  process.stdout.write(`${JSON.stringify(await bench(readOptions(args)))}\n`)
  return 0
}

async function stopAll(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const stop of stops) await stop().catch((error: unknown) => tell(`could not be stopped: ${String(error)}`))
}

function measure(ground: Ground, options: BenchOptions, chosen: Exclude<Case, 'idle'>): Promise<CaseResult> {
  switch (chosen) {
    case 'first':
      return options.workers > 1 ? measureWorkers(ground, options, tell) : measureFirst(ground, options, tell)
    case 'nochange':
      return measureNochange(ground, options, tell)
    case 'delta':
      return measureChanges(ground, options, options.every, tell)
    case 'small':
      return measureChanges(ground, options, options.rows, tell)
    case 'bulk':
      return measureBulk(ground, options, tell)
  }
}
