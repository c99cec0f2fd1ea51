import type { FastifyInstance } from 'fastify'
import type { InspectRequest } from '../../activities/launch/inspect-request.ts'
import type { Database } from '../../state/database.ts'
import type { Logger } from '../logger.ts'
import type { ApiMetrics } from './metrics.ts'
import type { TokenStore } from './tokens.ts'

/** A run's workflow, by the run that it belongs to. */
export interface RunRef {
  readonly id: string
  readonly sync: string
  readonly temporalRunId: string | null
}

/** What the API asks Temporal to do. Every method throws Problem `temporal_away` (503) when Temporal does not answer. */
export interface RunControl {
  /** Starts the workflow of an accepted run; safe to repeat. */
  start(run: { readonly id: string; readonly sync: string }): Promise<void>
  /** Closes the row of a run whose workflow was ended from outside; true: the row is ended now. */
  endTerminated(run: RunRef): Promise<boolean>
  /** Requests in flight end and are settled. Safe to repeat. False: there is no such workflow running. */
  cancel(run: RunRef): Promise<boolean>
  signal(run: RunRef, name: 'pause' | 'resume'): Promise<boolean>
  /** Answers a run that waits for approval; false: it does not wait (any more). Throws Problem `no_worker` after 10 s. */
  answer(run: RunRef, name: 'approve' | 'reject'): Promise<boolean>
}

export interface ApiDeps {
  readonly db: Database
  readonly log: Logger
  readonly metrics: ApiMetrics
  /** Null: nobody is asked who they are; only for a loopback listener. */
  readonly tokens: TokenStore | null
  /** For links to Temporal's web UI; null where nobody named one. */
  readonly uiUrl: string | null
  readonly namespace: string
  readonly control: RunControl
  /** Asks a worker. Throws NoWorkerError when none answers within a minute. */
  readonly inspect: (request: InspectRequest, input?: unknown) => Promise<unknown>
  /** Whether Temporal answers; never rejects. */
  readonly temporalUp: () => Promise<boolean>
  /** Hooks that make a span of each request; null where nobody traces. */
  readonly traceRequests: ((app: FastifyInstance) => void) | null
}
