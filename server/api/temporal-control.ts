import { setTimeout as sleep } from 'node:timers/promises'
import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client'
import { endTerminatedRun, startRun, workflowIdOf, type LaunchDeps } from '../../activities/launch/start-run.ts'
import type { TemporalSettings } from '../settings.ts'
import { TemporalConnection } from '../temporal-connection.ts'
import type { RunControl, RunRef } from './deps.ts'
import { Problem } from './problem.ts'

const CALL_MS = 3_000
const ANSWER_MS = 10_000
/** gRPC's own would let two minutes pass after an outage before it looks again. */
const RECONNECT_MS = 5_000

/**
 * Connects with the first call and again after an outage. Calls are not tried again while Temporal is away: whoever asks the API is
 * told at once, and a run that is accepted is started by the workers.
 */
export function connectTemporal({ connection }: TemporalSettings): TemporalConnection {
  return new TemporalConnection(connection, { channelArgs: { 'grpc.max_reconnect_backoff_ms': RECONNECT_MS }, interceptors: [] })
}

/** Steers runs through Temporal. A call that gets no answer in time may still take effect; every one is safe to repeat. */
export function temporalControl(launch: LaunchDeps): RunControl {
  const { client } = launch
  const call = <T>(ms: number, ask: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + ms, ask)
  return {
    async start(run) {
      await orAway(() => call(CALL_MS, () => startRun(launch, run)))
    },
    async endTerminated({ id, sync, temporalRunId }) {
      return temporalRunId !== null && orAway(() => call(CALL_MS, () => endTerminatedRun(launch, { id, sync, temporalRunId })))
    },
    cancel: (run) => orGone(() => call(CALL_MS, () => handleOf(client, run).cancel())),
    signal: (run, name) => orGone(() => call(CALL_MS, () => signalOwn(client, run, name))),
    async answer(run, name) {
      // An Update waits for a worker; the SDK asks again after a deadline, so the limit is ours.
      const limit = new AbortController()
      const late = sleep(ANSWER_MS, 'late' as const, { signal: limit.signal, ref: false }).catch(() => 'late' as const)
      const answered = orGone(() => client.withAbortSignal(limit.signal, () => handleOf(client, run).executeUpdate(name)))
      try {
        const outcome = await Promise.race([answered, late])
        if (outcome === 'late') throw noWorker()
        return outcome
      } finally {
        limit.abort()
        answered.catch(() => undefined)
      }
    },
  }
}

/** Of this very run: a later run of the sync has the same workflow id. */
function handleOf(client: Client, run: RunRef): WorkflowHandle {
  const first = run.temporalRunId === null ? {} : { firstExecutionRunId: run.temporalRunId }
  return client.workflow.getHandle(workflowIdOf(run.sync), undefined, first)
}

/** The server takes no first execution for a signal, so the current one is looked up; it may move on in between, once. */
async function signalOwn(client: Client, run: RunRef, name: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { runId, raw } = await client.workflow.getHandle(workflowIdOf(run.sync)).describe()
    if (raw.workflowExecutionInfo?.firstRunId !== run.temporalRunId)
      throw new WorkflowNotFoundError('another run', workflowIdOf(run.sync), runId)
    try {
      await client.workflow.getHandle(workflowIdOf(run.sync), runId).signal(name)
      return
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError) || tries > 0) throw error
    }
  }
}

/** False: there is no such workflow running, or it refused. */
async function orGone(ask: () => Promise<unknown>): Promise<boolean> {
  return orAway(async () => {
    try {
      await ask()
      return true
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError) return false
      if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) throw noWorker()
      throw error
    }
  })
}

async function orAway<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    if (cause instanceof Problem || !isAway(cause)) throw cause
    throw new Problem({ status: 503, code: 'temporal_away', detail: 'Temporal does not answer; try again', cause })
  }
}

function noWorker(): Problem {
  return new Problem({
    status: 503,
    code: 'no_worker',
    detail:
      'no worker took it up within 10 seconds: check that one runs; the answer may still arrive, so look at the run before asking again',
  })
}

/** CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE, by gRPC's numbers. */
function isAway(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'number' && [1, 4, 8, 14].includes(at.code)) return true
    if (at.message.includes('Failed to connect before the deadline')) return true
  }
  return false
}
