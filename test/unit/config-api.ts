import Fastify from 'fastify'
import { parseAllDocuments } from 'yaml'
import type { SyncProblem } from '../../activities/launch/answer.ts'
import { configRoutes } from '../../server/api/config-routes.ts'
import { Problem } from '../../server/api/problem.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import { migrate } from '../../state/migrate.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'

export type Json = Record<string, unknown>
export type Documents = readonly Json[]

export const documentsOf = (text: string): Documents => parseAllDocuments(text).map((document) => document.toJS() as Json)

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Json
}

/** The configuration's routes on a database of their own; what lies behind their options is set and read by the test. */
export interface ConfigApi {
  readonly database: TestDatabase
  sizes: Record<string, number>
  asked: Record<string, SyncConfiguration>[]
  answers: SyncProblem[]
  applied: number
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  post(verb: 'validate' | 'plan' | 'apply', documents: Documents, options?: Json): Promise<Answer>
  /** Kinds and versions of what is stored, by kind. */
  stored(): Promise<string[]>
  reset(): Promise<void>
  close(): Promise<void>
}

export async function startConfigApi(): Promise<ConfigApi> {
  const database = await freshDatabase()
  await migrate(database.pool)
  const app = Fastify({ ajv: { customOptions: { removeAdditional: false } } })
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof Problem)) throw error
    return reply.code(error.status).send({ status: error.status, code: error.code, detail: error.detail, errors: error.errors })
  })
  const api: ConfigApi = {
    database,
    sizes: {},
    asked: [],
    answers: [],
    applied: 0,
    async call(method, url, body, headers = {}) {
      const answer = await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body as Json }) })
      return { status: answer.statusCode, headers: answer.headers, body: (answer.body === '' ? null : answer.json()) as Json }
    },
    post: (verb, documents, options = {}) => api.call('POST', `/v1/config/${verb}`, { documents, ...options }),
    async stored() {
      const { rows } = await database.pool.query<{ line: string }>(
        `select kind || ' ' || version as line from resource order by kind, name`,
      )
      return rows.map(({ line }) => line)
    },
    async reset() {
      await database.pool.query('truncate resource, sync_state, baseline_segment, doubt, stale_match, rejection, run cascade')
      Object.assign(api, { sizes: {}, asked: [], answers: [], applied: 0 })
    },
    async close() {
      await app.close()
      await database.drop()
    },
  }
  await app.register(configRoutes, {
    db: database.pool,
    baselineSize: async (sync) => api.sizes[sync] ?? 0,
    connectCheck: async (syncs) => {
      api.asked.push({ ...syncs })
      return api.answers
    },
    onApplied: async () => {
      api.applied++
    },
    requireScope: (request, scope) => {
      if (request.headers['x-reader'] !== undefined) throw new Problem({ status: 403, code: 'scope', detail: `the token lacks ${scope}` })
    },
  })
  return api
}
