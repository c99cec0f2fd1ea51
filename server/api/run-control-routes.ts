import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { effect } from '../../activities/failpoints.ts'
import { cancelQueued } from '../../state/run-requests.ts'
import { getRun, isEnded, runView, type RunRow, type RunState } from '../../state/runs.ts'
import type { ApiDeps } from './deps.ts'
import { Problem } from './problem.ts'
import { findRun } from './run-routes.ts'
import { Run, RunParams } from './schemas.ts'

type Verb = 'cancel' | 'pause' | 'resume' | 'approve' | 'reject'

const SUMMARIES: Readonly<Record<Verb, string>> = {
  cancel: 'End a run; requests in flight end and are settled',
  pause: 'Stop delivering until it is resumed; requests in flight end and are settled',
  resume: 'Go on delivering',
  approve: 'Let a run that waits for approval deliver its plan',
  reject: 'End a run that waits for approval; nothing of it is sent',
}

/** Steering runs. 202: asked for; 409 `state`: the run is not in a state that allows it. */
export const runControlRoutes: FastifyPluginAsyncTypebox<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  for (const verb of ['cancel', 'pause', 'resume', 'approve', 'reject'] as const) {
    app.post(
      `/v1/runs/:id/${verb}`,
      {
        config: { scope: 'runs:write' },
        schema: { tags: ['runs'], summary: SUMMARIES[verb], params: RunParams, response: { 202: Run } },
      },
      async (request, reply) => {
        const run = await findRun(deps, request.params.id)
        if (!allows(verb, run.state)) throw wrongState(verb, run)
        if (!(await carryOut(deps, verb, run))) throw wrongState(verb, await findRun(deps, run.id))
        return reply.code(202).send(runView((await getRun(deps.db, run.id)) ?? run, deps))
      },
    )
  }
}

function allows(verb: Verb, state: RunState): boolean {
  switch (verb) {
    case 'cancel':
      return !isEnded(state)
    case 'pause':
      return state === 'delivering'
    case 'resume':
      return state === 'paused'
    case 'approve':
    case 'reject':
      return state === 'awaiting_approval'
  }
}

async function carryOut({ db, control }: ApiDeps, verb: Verb, run: RunRow): Promise<boolean> {
  switch (verb) {
    case 'cancel':
      // Temporal takes a cancellation of a workflow that has ended; a row that does not know yet is closed instead.
      return (await effect('end', () => cancelQueued(db, run.id))) || (await control.endTerminated(run)) || (await control.cancel(run))
    case 'pause':
    case 'resume':
      return control.signal(run, verb)
    case 'approve':
    case 'reject':
      return control.answer(run, verb)
  }
}

const NEEDS: Readonly<Record<Verb, string>> = {
  cancel: 'only a run that has not ended can be cancelled',
  pause: 'only a run that delivers can be paused',
  resume: 'only a paused run can be resumed',
  approve: 'only a run that waits for approval can be approved',
  reject: 'only a run that waits for approval can be rejected',
}

function wrongState(verb: Verb, run: RunRow): Problem {
  return new Problem({ status: 409, code: 'state', detail: `run ${run.id} is ${run.state}: ${NEEDS[verb]}`, extra: { run: run.id } })
}
