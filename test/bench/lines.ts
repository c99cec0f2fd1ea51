import type { CaseResult } from './cases.ts'
import type { IdleResult } from './idle.ts'
import { median } from './median.ts'
import type { BenchOptions } from './options.ts'

export interface Line {
  readonly case: string
  readonly ratioToRaw: number
  readonly [name: string]: unknown
}

type Tell = (line: string) => void

/** The line on stdout; what the numbers mean goes to `tell`. */
export function caseLine(options: BenchOptions, { rounds, records, yardstick, target, ...result }: CaseResult, tell: Tell): Line {
  const seconds = median(rounds.map(({ product }) => product.seconds))
  const rawSeconds = median(rounds.map((round) => round.rawSeconds))
  const events = Math.max(...rounds.map(({ product }) => product.historyEvents))
  const requests = median(rounds.map(({ product }) => product.requests))
  const limit = target(rawSeconds)
  tell(
    `median of ${rounds.length}: ${seconds.toFixed(2)} s, ${yardstick} ${rawSeconds.toFixed(2)} s; ` +
      `target at most ${limit.toFixed(2)} s: ${seconds <= limit ? 'met' : 'missed'}`,
  )
  return {
    case: options.case,
    rows: options.rows,
    seconds: round(seconds, 3),
    rowsPerSecond: Math.round(records / seconds),
    peakRssMb: result.peakRssMb,
    requests,
    historyEvents: events,
    ratioToRaw: round(seconds / rawSeconds, 2),
    eventLoopP999Ms: round(result.eventLoop.p999Ms, 1),
    walBytesPerBatch: result.walBytesPerBatch,
    baselineBytesPerRecord: result.baselineBytesPerRecord,
  }
}

const IDLE_CPU_PERCENT = 15
const IDLE_QUERIES = 50

export function idleLine(options: BenchOptions, result: IdleResult, tell: Tell): Line {
  const { workerCpuPercent, queriesPerSecond } = result
  const met = (workerCpuPercent ?? Infinity) <= IDLE_CPU_PERCENT && queriesPerSecond <= IDLE_QUERIES
  tell(
    `${result.runs} runs in ${result.seconds.toFixed(0)} s; worker ${workerCpuPercent?.toFixed(1) ?? '?'} % of a core, ` +
      `state database ${queriesPerSecond.toFixed(1)} queries/s; target at most ${IDLE_CPU_PERCENT} % and ${IDLE_QUERIES}: ${met ? 'met' : 'missed'}`,
  )
  return {
    case: options.case,
    rows: options.rows,
    seconds: round(result.runSeconds, 3),
    rowsPerSecond: Math.round(options.rows / result.runSeconds),
    peakRssMb: result.peakRssMb,
    requests: 0,
    historyEvents: result.historyEvents,
    ratioToRaw: round(result.runSeconds / result.rawSeconds, 2),
    workerCpuPercent: workerCpuPercent === null ? null : round(workerCpuPercent, 1),
    queriesPerSecond: round(queriesPerSecond, 1),
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
