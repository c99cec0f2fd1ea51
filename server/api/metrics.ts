import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Database } from '../../state/database.ts'
import { countOpenRuns, RUN_STATES, isEnded } from '../../state/runs.ts'

export interface ApiMetrics {
  readonly registry: Registry
  observeRequest(labels: { readonly method: string; readonly route: string; readonly status: number }, seconds: number): void
}

/** Metrics of the API process. Labels are route patterns and states, never names of a user's. */
export function createApiMetrics(db: Database): ApiMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const requests = new Histogram({
    name: 'tailrace_http_request_duration_seconds',
    help: 'Time until a request was answered.',
    labelNames: ['method', 'route', 'status_class'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [registry],
  })
  new Gauge({
    name: 'tailrace_runs',
    help: 'Runs that have not ended, by state; the same in every api process.',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const counts = await countOpenRuns(db)
      for (const state of RUN_STATES) if (!isEnded(state)) this.set({ state }, counts.get(state) ?? 0)
    },
  })
  return {
    registry,
    observeRequest: ({ method, route, status }, seconds) =>
      requests.observe({ method, route, status_class: `${Math.floor(status / 100)}xx` }, seconds),
  }
}
