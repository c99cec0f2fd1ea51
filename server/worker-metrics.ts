import { Gauge, Histogram, type Registry } from 'prom-client'
import type { Connections } from '../activities/connections.ts'
import { exchanges, type Exchange } from '../connectors/http.ts'
import { accountStates, type AccountState } from '../state/budget.ts'
import type { Database } from '../state/database.ts'
import { sharedWhileRunning } from './observe.ts'

/** Beside the journal's counters: requests to destinations, and what the accounts that this worker uses allow. */
export function registerWorkerMetrics(registry: Registry, { db, connections }: { db: Database; connections: Connections }): void {
  watchExchanges(registry)
  const read = sharedWhileRunning(async () => {
    const used = connections.used()
    // While the database is away both are absent; readiness tells that it is.
    const states = await accountStates(
      db,
      used.map(({ destination }) => destination),
    ).catch(() => [])
    return used.flatMap(({ name, destination: { account } }) =>
      states.filter((state) => state.account === account).map((state) => ({ name, ...state })),
    )
  })
  const gauge = (name: string, help: string, value: (state: AccountState) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['destination'],
      registers: [registry],
      async collect() {
        const states = await read()
        this.reset()
        for (const state of states) {
          const now = value(state)
          if (now !== null) this.set({ destination: state.name }, now)
        }
      },
    })
  gauge(
    'tailrace_destination_budget_requests',
    'Requests that the account allows at once, shared by every worker; below 0: how many wait for their turn.',
    ({ requests }) => requests,
  )
  gauge(
    'tailrace_destination_paused_seconds',
    'How long nobody may send to the destination: it asked for quiet, or its daily share is used up.',
    ({ pausedSeconds }) => pausedSeconds,
  )
}

function watchExchanges(registry: Registry): void {
  const durations = new Histogram({
    name: 'tailrace_destination_request_duration_seconds',
    help: 'From hand-over of a request to its answer, by system, kind of request and class of status; none: no answer.',
    labelNames: ['system', 'operation', 'status_class'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  })
  const begun = new WeakMap<object, number>()
  const end = (exchange: Exchange): void => {
    const seconds = (performance.now() - (begun.get(exchange) ?? performance.now())) / 1000
    const { label: system, what: operation, result } = exchange
    durations.observe({ system, operation, status_class: result ? `${Math.floor(result.status / 100)}xx` : 'none' }, seconds)
  }
  exchanges.subscribe({
    start: (exchange) => void begun.set(exchange, performance.now()),
    asyncEnd: end,
    end: () => undefined,
    asyncStart: () => undefined,
    error: () => undefined,
  })
}
