import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { stringify } from 'lossless-json'
import Type from 'typebox'
import { recordHistory } from '../../state/record-history.ts'
import { listRejections, rejectionOf, retryRejections } from '../../state/rejections.ts'
import { getResource } from '../../state/resources.ts'
import { keyPartsOf, listChanges } from '../../state/run-records.ts'
import type { ApiDeps } from './deps.ts'
import { Problem } from './problem.ts'
import { readKey } from './record-key.ts'
import { findRun } from './run-routes.ts'
import { ChangeAnswer, ChangesQuery, Page, pageOf, RecordAnswer, RecordParams, RejectionAnswer, RunParams, SyncParams } from './schemas.ts'
import { emptyBody } from './validation.ts'

/** What the state database knows about single records: the only answers, beside preview, that hold row values. */
export const recordRoutes: FastifyPluginAsyncTypebox<{ readonly deps: ApiDeps }> = async (app, { deps }) => {
  const tags = ['records']

  app.get(
    '/v1/runs/:id/changes',
    {
      config: { scope: 'records:read' },
      schema: {
        tags,
        summary: 'The planned records of a run and what became of them',
        params: RunParams,
        querystring: ChangesQuery,
        response: { 200: pageOf(ChangeAnswer) },
      },
    },
    async ({ params, query: { key: text, ...query } }, reply) => {
      const run = await findRun(deps, params.id)
      // A run that was planned before runs noted how their keys are made goes by its sync.
      const key = text === undefined ? undefined : readKey(run.keyParts ?? (await keyPartsOf(deps.db, run.sync)), text)
      reply.type('application/json').serializer(toJson)
      return key === null ? { data: [], next: null } : listChanges(deps.db, run, { ...query, key })
    },
  )

  app.get(
    '/v1/syncs/:name/rejections',
    {
      config: { scope: 'records:read' },
      schema: {
        tags,
        summary: 'Records that are not as the model wants them',
        params: SyncParams,
        querystring: Page,
        response: { 200: pageOf(RejectionAnswer) },
      },
    },
    async ({ params, query }) => {
      await mustExist(deps, params.name)
      return listRejections(deps.db, { sync: params.name, ...query })
    },
  )

  app.post(
    '/v1/syncs/:name/rejections/retry',
    {
      config: { scope: 'runs:write' },
      preValidation: emptyBody,
      schema: {
        tags,
        summary: 'Make rejected records due in the next run: one, or all',
        params: SyncParams,
        body: Type.Object(
          {
            key: Type.Optional(
              Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description: 'As `key` in the list.' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ due: Type.Integer({ description: 'How many are due now.' }) }) },
      },
    },
    async ({ params, body }) => {
      await mustExist(deps, params.name)
      const due = await retryRejections(deps.db, params.name, body.key ?? null)
      if (body.key !== undefined && due === 0)
        throw new Problem({ status: 404, code: 'not_found', detail: `no rejection of ${params.name} has this key` })
      return { due }
    },
  )

  app.get(
    '/v1/syncs/:name/records/:key',
    {
      config: { scope: 'records:read' },
      schema: { tags, summary: 'What happened to one record', params: RecordParams, response: { 200: RecordAnswer } },
    },
    async ({ params: { name, key: text } }, reply) => {
      await mustExist(deps, name)
      const key = readKey(await keyPartsOf(deps.db, name), text)
      const rejection = key && (await rejectionOf(deps.db, name, key.shown))
      const history = key && (await recordHistory(deps.db, name, key))
      if (!key || !history || (history.runs.length === 0 && history.acknowledged === null && rejection === null)) {
        throw new Problem({
          status: 404,
          code: 'not_found',
          detail: `${name} never touched a record with this key, or not within retention`,
        })
      }
      reply.type('application/json').serializer(toJson)
      return { key: key.shown, ...history, rejection, runs: [...history.runs] }
    },
  )
}

/** Throws Problem 404. */
export async function mustExist({ db }: Pick<ApiDeps, 'db'>, sync: string): Promise<void> {
  if (!(await getResource(db, 'Sync', sync))) throw new Problem({ status: 404, code: 'not_found', detail: `there is no sync ${sync}` })
}

/** Numbers were read without being rounded and are written the same way. */
export function toJson(payload: unknown): string {
  return stringify(payload) ?? 'null'
}
