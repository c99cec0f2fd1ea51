import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parse } from 'lossless-json'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import type { InspectRequest } from '../../activities/launch/inspect-request.ts'
import { NoWorkerError } from '../../activities/launch/inspect.ts'
import { databaseAway } from '../../state/away.ts'
import { allResources, getResource } from '../../state/resources.ts'
import { CHANGE_OPS } from '../../state/batch-records.ts'
import { checkSchema, SchemaError } from '../../state/migrate.ts'
import type { ApiDeps } from './deps.ts'
import { Problem } from './problem.ts'
import { mustExist, toJson } from './record-routes.ts'
import { emptyBody } from './validation.ts'
import { CheckAnswer, DoctorAnswer, pageOf, PreviewedChange, SyncParams } from './schemas.ts'

type Check = Static<typeof CheckAnswer>

/** As a worker answers; `fields` is JSON text, so that no digit is lost on the way. */
const Previewed = Type.Object({
  changes: Type.Array(
    Type.Object({
      op: Type.Enum([...CHANGE_OPS]),
      outcome: Type.Enum(['planned', 'invalid']),
      key: Type.Unknown(),
      fields: Type.String(),
      error: Type.Union([
        Type.Object({ code: Type.String(), field: Type.Union([Type.String(), Type.Null()]), message: Type.String() }),
        Type.Null(),
      ]),
    }),
  ),
})

/** What only a worker can answer, because only workers resolve secrets. */
export const inspectRoutes: FastifyPluginAsyncTypebox<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  for (const [collection, kind] of [
    ['sources', 'Source'],
    ['destinations', 'Destination'],
  ] as const) {
    app.post(
      `/v1/${collection}/:name/check`,
      {
        config: { scope: 'config:read' },
        schema: {
          tags: [collection],
          summary: `Ask a worker whether it reaches this ${kind.toLowerCase()}`,
          params: SyncParams,
          response: { 200: CheckAnswer },
        },
      },
      async ({ params: { name } }) => {
        if (!(await getResource(deps.db, kind, name)))
          throw new Problem({ status: 404, code: 'not_found', detail: `there is no ${kind.toLowerCase()} ${name}` })
        return check(deps, kind, name)
      },
    )
  }

  app.post(
    '/v1/syncs/:name/preview',
    {
      config: { scope: 'records:read' },
      preValidation: emptyBody,
      schema: {
        tags: ['records'],
        summary: 'The first changes that a run would send; sends nothing',
        params: SyncParams,
        body: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 1000, default: 10 }) }, { additionalProperties: false }),
        response: { 200: pageOf(PreviewedChange) },
      },
    },
    async ({ params: { name }, body: { limit } }, reply) => {
      await mustExist(deps, name)
      const answer = await deps.inspect({ kind: 'preview', sync: name, limit })
      if (Value.Check(Type.Object({ problem: Type.String() }), answer))
        throw new Problem({ status: 422, code: 'config', detail: answer.problem })
      if (!Value.Check(Previewed, answer)) throw new Error('a worker answered a preview in an unknown shape')
      reply.type('application/json').serializer(toJson)
      return { data: answer.changes.map(toChange), next: null }
    },
  )

  app.get(
    '/v1/doctor',
    {
      config: { scope: 'config:read' },
      schema: {
        tags: ['doctor'],
        summary: 'Check the state database, Temporal, every source and every destination',
        response: { 200: DoctorAnswer },
      },
    },
    async () => {
      const [database, temporalUp] = await Promise.all([checkDatabase(deps), deps.temporalUp()])
      const temporal = temporalUp
        ? { ok: true, detail: `Temporal answers, namespace ${deps.namespace}` }
        : { ok: false, detail: 'Temporal does not answer: check TEMPORAL_ADDRESS and that the server runs; runs wait until then' }
      const checks = [
        { name: 'database', ...database },
        { name: 'temporal', ...temporal },
      ]
      return database.ok && temporal.ok ? [...checks, ...(await checkEndpoints(deps))] : checks
    },
  )
}

async function checkEndpoints(deps: ApiDeps): Promise<(Check & { name: string })[]> {
  const asked = (await allResources(deps.db)).filter(({ kind }) => kind === 'Source' || kind === 'Destination')
  return Promise.all(
    asked.map(async ({ kind, name }) => {
      const told = { name: `${kind.toLowerCase()} ${name}` }
      try {
        return { ...told, ...(await check(deps, kind === 'Source' ? 'Source' : 'Destination', name)) }
      } catch (error) {
        if (!(error instanceof NoWorkerError)) throw error
        return { ...told, ok: false, detail: error.message }
      }
    }),
  )
}

async function check(deps: ApiDeps, kind: 'Source' | 'Destination', name: string): Promise<Check> {
  const request: InspectRequest = kind === 'Source' ? { kind: 'source-check', name } : { kind: 'destination-check', name }
  const answer = await deps.inspect(request)
  if (!Value.Check(CheckAnswer, answer)) throw new Error(`a worker answered ${request.kind} in an unknown shape`)
  return answer
}

async function checkDatabase({ db }: ApiDeps): Promise<Check> {
  try {
    await checkSchema(db)
    return { ok: true, detail: 'the state database answers and has the schema of this version' }
  } catch (error) {
    if (error instanceof SchemaError) return { ok: false, detail: error.message }
    if (!databaseAway(error)) throw error
    return { ok: false, detail: 'the state database does not answer: check DATABASE_URL and that the server runs' }
  }
}

function toChange({ op, outcome, key, fields, error }: Static<typeof Previewed>['changes'][number]): Static<typeof PreviewedChange> {
  const { code, message, field } = error ?? { code: '', message: '', field: null }
  return { key, op, fields: parse(fields), outcome, error: error === null ? null : { code, message, ...(field === null ? {} : { field }) } }
}
