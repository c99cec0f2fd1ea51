import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import { effect } from '../../activities/failpoints.ts'
import { acceptRun, type Acceptance, type RunRequest } from '../../state/run-requests.ts'
import { activeRun, getRun, isEnded, listRuns, runView, type RunRow } from '../../state/runs.ts'
import { RunOptions } from '../../state/spec.ts'
import type { ApiDeps } from './deps.ts'
import { Problem } from './problem.ts'
import type { RunWatch } from './run-watch.ts'
import { pageOf, Run, RunListQuery, RunParams, SyncParams } from './schemas.ts'
import { emptyBody } from './validation.ts'

const LONGEST_WAIT_S = 60
/** Between two looks at a run that nobody told us about. */
const LOOK_AGAIN_MS = 1000

const StartHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'The same key and body give the same run, for 24 hours.' }),
  ),
})

export interface RunRouteOptions {
  readonly deps: ApiDeps
  readonly watch: RunWatch
  /** Aborted when the API is being stopped: nobody waits any longer then. */
  readonly stopping: AbortSignal
}

/** Starting runs and looking at them. */
export const runRoutes: FastifyPluginAsyncTypebox<RunRouteOptions> = async (app, { deps, watch, stopping }) => {
  const tags = ['runs']
  const view = (row: RunRow) => runView(row, deps)

  app.post(
    '/v1/syncs/:name/runs',
    {
      config: { scope: 'runs:write' },
      preValidation: emptyBody,
      schema: {
        tags,
        summary: 'Start a run',
        params: SyncParams,
        headers: StartHeaders,
        body: RunOptions,
        response: { 200: Run, 202: Run },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { kind, run } = await accept(deps, readRequest(name, request.body, request.headers['idempotency-key'], traceparentOf(request)))
      if (kind === 'conflict') throw conflict(run)
      if (kind === 'mismatch')
        throw new Problem({
          status: 422,
          code: 'idempotency_key',
          detail: 'this Idempotency-Key was used for another request',
          extra: { run: run.id },
        })
      if (kind === 'accepted')
        await deps.control
          .start(run)
          .catch((error: unknown) => request.log.warn({ err: error }, 'the run is accepted; it starts when Temporal answers'))
      return reply
        .code(kind === 'joined' ? 200 : 202)
        .header('location', `/v1/runs/${run.id}`)
        .send(view((await getRun(deps.db, run.id)) ?? run))
    },
  )

  app.get(
    '/v1/runs',
    {
      config: { scope: 'runs:read' },
      schema: { tags, summary: 'List runs, newest first', querystring: RunListQuery, response: { 200: pageOf(Run) } },
    },
    async ({ query }) => {
      const { data, next } = await listRuns(deps.db, query)
      return { data: data.map(view), next }
    },
  )

  app.get(
    '/v1/runs/:id',
    {
      config: { scope: 'runs:read' },
      schema: {
        tags,
        summary: 'Read a run; with `wait` answer when it has ended or the time is up',
        params: RunParams,
        querystring: Type.Object(
          { wait: Type.Number({ minimum: 0, maximum: LONGEST_WAIT_S, default: 0 }) },
          { additionalProperties: false },
        ),
        response: { 200: Run },
      },
    },
    async (request, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const signal = AbortSignal.any([stopping, gone.signal])
      const deadline = performance.now() + request.query.wait * 1000
      for (;;) {
        const left = Math.min(deadline - performance.now(), LOOK_AGAIN_MS)
        // Before the look, so that a change right after it is heard.
        const changed = left > 0 ? watch.next(request.params.id, left, signal) : null
        const row = await findRun(deps, request.params.id)
        if (isEnded(row.state) || changed === null || signal.aborted) return view(row)
        await changed
      }
    },
  )
}

/** Throws Problem 404. */
export async function findRun(deps: Pick<ApiDeps, 'db'>, id: string): Promise<RunRow> {
  const row = await getRun(deps.db, id)
  if (!row) throw new Problem({ status: 404, code: 'not_found', detail: 'there is no such run, or it is past its retention' })
  return row
}

function readRequest(sync: string, options: RunOptions, key: string | undefined, traceparent: string | undefined): RunRequest {
  const { full = false, verify = false, dryRun = false, adopt = false, onConflict = 'reject' } = options
  const beside = Object.entries({ full, verify, dryRun }).flatMap(([name, set]) => (adopt && set ? [name] : []))
  if (beside.length > 0) {
    const errors = beside.map((name) => ({ pointer: `/${name}`, message: 'cannot be combined with adopt' }))
    throw new Problem({ status: 422, code: 'options', detail: `adopt sends nothing, so it goes with none of ${beside.join(', ')}`, errors })
  }
  const request = { sync, trigger: 'api', full, verify, dryRun, adopt, onConflict }
  const bodyHash = createHash('sha256').update(JSON.stringify(request)).digest('hex')
  return { ...request, traceparent, idempotency: key === undefined ? undefined : { key, bodyHash } }
}

/** W3C Trace Context; what is no such thing is passed over, as that standard says. */
function traceparentOf({ headers }: FastifyRequest): string | undefined {
  const { traceparent } = headers
  return typeof traceparent === 'string' && /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(traceparent) ? traceparent : undefined
}

/** A run that was terminated in Temporal blocks nobody: it is closed here and now. */
async function accept(deps: ApiDeps, request: RunRequest): Promise<Acceptance> {
  const active = await activeRun(deps.db, request.sync)
  // With Temporal away nobody knows; the reconcile loop finds out later.
  if (active && active.temporalRunId !== null) await deps.control.endTerminated(active).catch(() => false)
  return effect('accept', () => acceptRun(deps.db, request))
}

function conflict(run: RunRow): Problem {
  const detail =
    run.slot === 'next'
      ? `run ${run.id} of ${run.sync} is queued already, and it cannot do what is asked for as well`
      : `run ${run.id} of ${run.sync} is active; use onConflict join or queue, or cancel it`
  return new Problem({ status: 409, code: 'run_active', detail, extra: { run: run.id } })
}
