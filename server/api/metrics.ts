import { Gauge, Histogram, type Registry } from 'prom-client'
import { durationMs } from '../../activities/plan/guards.ts'
import type { Database } from '../../state/database.ts'
import { syncFigures, type SyncFigures } from '../../state/figures.ts'
import { syncConditions } from '../../state/notices.ts'
import { countOpenRuns, RUN_STATES, isEnded } from '../../state/runs.ts'
import { processMetrics, sharedWhileRunning } from '../observe.ts'

export interface ApiMetrics {
  readonly registry: Registry
  observeRequest(labels: { readonly method: string; readonly route: string; readonly status: number }, seconds: number): void
}

/** Metrics of the API process: its requests, and how runs and syncs stand in the state database, the same in every api process. */
export function createApiMetrics(db: Database): ApiMetrics {
  const registry = processMetrics()
  const requests = new Histogram({
    name: 'tailrace_http_request_duration_seconds',
    help: 'Time until a request was answered.',
    labelNames: ['method', 'route', 'status_class'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  registerStanding(registry, db)
  return {
    registry,
    observeRequest: ({ method, route, status }, seconds) =>
      requests.observe({ method, route, status_class: `${Math.floor(status / 100)}xx` }, seconds),
  }
}

interface Standing {
  readonly runs: ReadonlyMap<string, number>
  readonly syncs: readonly SyncFigures[]
  readonly conditions: Awaited<ReturnType<typeof syncConditions>>
}

/** Read once a scrape. While the state database is away, `tailrace_state_database_up` is 0 and the others are absent. */
function registerStanding(registry: Registry, db: Database): void {
  const read = sharedWhileRunning(async (): Promise<Standing | null> => {
    try {
      const [runs, syncs, conditions] = await Promise.all([countOpenRuns(db), syncFigures(db), syncConditions(db)])
      return { runs, syncs, conditions }
    } catch {
      return null
    }
  })
  const gauge = <Label extends string>(
    name: string,
    labelNames: readonly Label[],
    help: string,
    fill: (standing: Standing, set: (labels: Record<Label, string>, value: number) => void) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const standing = await read()
        this.reset()
        if (standing) fill(standing, (labels, value) => this.set(labels, value))
      },
    })
  new Gauge({
    name: 'tailrace_state_database_up',
    help: '1: the state database answered this scrape.',
    registers: [registry],
    async collect() {
      this.set((await read()) ? 1 : 0)
    },
  })
  gauge('tailrace_runs', ['state'], 'Runs that have not ended, by state.', ({ runs }, set) => {
    for (const state of RUN_STATES) if (!isEnded(state)) set({ state }, runs.get(state) ?? 0)
  })
  gauge(
    'tailrace_sync_freshness_seconds',
    ['sync'],
    'Seconds since the plan of the last run that ended owing nothing began; absent until one did.',
    ({ syncs }, set) => {
      for (const { sync, freshnessSeconds } of syncs) if (freshnessSeconds !== null) set({ sync }, freshnessSeconds)
    },
  )
  gauge(
    'tailrace_sync_condition',
    ['sync', 'condition'],
    'Always 1: how the sync stands (ok, partial, failed, parked).',
    ({ conditions }, set) => {
      for (const { sync, condition } of conditions) set({ sync, condition }, 1)
    },
  )
  gauge('tailrace_sync_interval_seconds', ['sync'], 'The interval of schedules with `every` that are not paused.', ({ syncs }, set) => {
    for (const { sync, every } of syncs) if (every !== null) set({ sync }, durationMs(every) / 1000)
  })
  gauge('tailrace_sync_rejections', ['sync', 'class'], 'Records that a sync owes, by class of rejection.', ({ syncs }, set) => {
    for (const { sync, owed } of syncs) for (const [kind, count] of Object.entries(owed)) set({ sync, class: kind }, count)
  })
  gauge('tailrace_sync_doubtful_records', ['sync'], 'Records whose last send has an unknown outcome.', ({ syncs }, set) => {
    for (const { sync, doubtful } of syncs) set({ sync }, doubtful)
  })
}
