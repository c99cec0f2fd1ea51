import { parseArgs } from 'node:util'

const CASES = ['first', 'nochange', 'delta', 'small', 'idle', 'bulk'] as const
export type Case = (typeof CASES)[number]

export interface BenchOptions {
  readonly case: Case
  readonly rows: number
  /** `delta` changes one row in so many. */
  readonly every: number
  /** Of each answer of the sink. */
  readonly latencyMs: number
  readonly batch: number
  readonly concurrency: number
  /** More than one: the case is compared with one worker. */
  readonly workers: number
  /** How often the case is measured; the median is reported. */
  readonly repeat: number
  /** How long `idle` is watched. */
  readonly minutes: number
  /** Folder for a CPU profile of the worker. */
  readonly profile: string | null
  /** Where the rows come from, and who compares them. */
  readonly source: Source
}

/**
 * postgres: every row leaves the warehouse · planner: PostgreSQL compares · redshift: Redshift's dialect, on PostgreSQL · snowflake: the
 * stand-in.
 */
const SOURCES = ['postgres', 'planner', 'redshift', 'snowflake'] as const
export type Source = (typeof SOURCES)[number]

/** What a wrong command line ends with. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const NAMES = ['case', 'source', 'rows', 'every', 'latency', 'batch', 'concurrency', 'workers', 'repeat', 'minutes', 'profile']

const REPEAT: Record<Case, number> = { first: 3, nochange: 3, delta: 3, small: 7, idle: 1, bulk: 1 }

/** Throws UsageError for anything it does not know. */
export function readOptions(args: readonly string[]): BenchOptions {
  const given = parse(args)
  const chosen = CASES.find((name) => name === given['case'])
  if (chosen === undefined) throw new UsageError(`--case must be one of ${CASES.join(', ')}`)
  const source = SOURCES.find((name) => name === (given['source'] ?? 'postgres'))
  if (source === undefined) throw new UsageError(`--source must be one of ${SOURCES.join(', ')}`)
  if (source === 'snowflake' && chosen !== 'nochange') throw new UsageError(`--source ${source} is for --case nochange only`)
  const number = (name: string, fallback: number, least: number): number => {
    const text = given[name]
    if (text === undefined) return fallback
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN
    if (value >= least) return value
    throw new UsageError(`--${name} must be a whole number from ${least}`)
  }
  return {
    case: chosen,
    rows: number('rows', chosen === 'idle' ? 1000 : 100_000, 100),
    every: number('every', 100, 1),
    latencyMs: number('latency', 50, 0),
    batch: number('batch', 100, 1),
    concurrency: number('concurrency', 16, 1),
    workers: number('workers', 1, 1),
    repeat: number('repeat', REPEAT[chosen], 1),
    minutes: number('minutes', 5, 1),
    profile: given['profile'] ?? null,
    source,
  }
}

function parse(args: readonly string[]): Record<string, string | undefined> {
  const text = { type: 'string' } as const
  const options = Object.fromEntries(NAMES.map((name) => [name, text]))
  try {
    return { ...parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
