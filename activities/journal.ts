import type { Logger } from 'pino'
import { Counter, Histogram, type Registry } from 'prom-client'
import type { ErrorKind } from '../connectors/errors.ts'
import type { Notice } from '../state/notices.ts'
import type { PlanCounts } from '../state/staging.ts'

interface RunName {
  readonly run: string
  readonly sync: string
}

type OutcomeCounts = { readonly delivered: number; readonly skipped: number; readonly rejected: number }

/**
 * What happens in runs, as log lines and as counters of this process. Ids, names, counts and our own words only: no row values, no
 * secrets. Labels are names from the configuration, so their number is bounded by it.
 */
export class Journal {
  readonly #log: Logger
  readonly #runs: Counter<'sync' | 'outcome'>
  readonly #durations: Histogram<'outcome'>
  readonly #records: Counter<'sync' | 'destination' | 'outcome'>
  readonly #failures: Counter<'destination' | 'kind'>
  readonly #throttled: Counter<'destination'>
  readonly #notices: Counter<'notification' | 'event' | 'outcome'>

  constructor(log: Logger, registry: Registry) {
    this.#log = log
    const registers = [registry]
    this.#runs = new Counter({
      name: 'tailrace_runs_total',
      help: 'Runs that ended, by the state they ended in.',
      labelNames: ['sync', 'outcome'],
      registers,
    })
    this.#durations = new Histogram({
      name: 'tailrace_run_duration_seconds',
      help: 'From the begin of a run to its end, waiting included.',
      labelNames: ['outcome'],
      buckets: [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400],
      registers,
    })
    this.#records = new Counter({
      name: 'tailrace_records_total',
      help: 'Records by outcome: delivered, skipped, rejected by the destination, invalid (never sent).',
      labelNames: ['sync', 'destination', 'outcome'],
      registers,
    })
    this.#failures = new Counter({
      name: 'tailrace_batch_failures_total',
      help: 'Tries at a batch that failed as a whole, by kind of error; in_doubt: the answer was lost.',
      labelNames: ['destination', 'kind'],
      registers,
    })
    this.#throttled = new Counter({
      name: 'tailrace_destination_throttled_total',
      help: 'How often a destination asked for quiet.',
      labelNames: ['destination'],
      registers,
    })
    this.#notices = new Counter({
      name: 'tailrace_notifications_total',
      help: 'Notifications that were sent, or given up after a day.',
      labelNames: ['notification', 'event', 'outcome'],
      registers,
    })
  }

  notified({ id, notification, sync, run, event }: Notice, outcome: 'sent' | 'given_up'): void {
    this.#log[outcome === 'sent' ? 'info' : 'error']({ notice: id, notification, sync, run, event, outcome }, 'notification')
    this.#notices.inc({ notification, event, outcome })
  }

  planned({ run, sync, destination, dryRun, counts, holds }: RunName & Planned): void {
    this.#log.info({ run, sync, destination, dryRun, ...counts, guardsCrossed: holds.length }, 'plan made')
    if (!dryRun) this.#count(sync, destination, 'invalid', counts.invalid)
  }

  settled({ run, sync, destination, batch, ...counts }: RunName & OutcomeCounts & { destination: string; batch: number }): void {
    this.#log.debug({ run, sync, destination, batch, ...counts }, 'batch settled')
    for (const outcome of ['delivered', 'skipped', 'rejected'] as const) this.#count(sync, destination, outcome, counts[outcome])
  }

  batchFailed({ run, sync, destination, batch, kind, code }: RunName & BatchFailure): void {
    this.#log.warn({ run, sync, destination, batch, kind, code }, 'batch not settled')
    this.#failures.inc({ destination, kind })
    if (kind === 'throttled') this.#throttled.inc({ destination })
  }

  ended({ run, sync, state, seconds, code }: RunName & { state: string; seconds: number | null; code: string | null }): void {
    this.#log[state === 'failed' ? 'warn' : 'info']({ run, sync, state, code }, 'run ended')
    this.#runs.inc({ sync, outcome: state })
    if (seconds !== null) this.#durations.observe({ outcome: state }, seconds)
  }

  #count(sync: string, destination: string, outcome: string, count: number): void {
    if (count > 0) this.#records.inc({ sync, destination, outcome }, count)
  }
}

interface Planned {
  readonly destination: string
  readonly dryRun: boolean
  readonly counts: PlanCounts
  readonly holds: readonly string[]
}

interface BatchFailure {
  readonly destination: string
  /** Null: a bulk job, which is many batches. */
  readonly batch: number | null
  readonly kind: ErrorKind
  readonly code: string | null
}
