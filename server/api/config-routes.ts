import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { applyDocuments, planDocuments, type ConfigServiceOptions } from '../config/service.ts'
import { resourceRoutes } from './resource-routes.ts'
import type { Scope } from './scope.ts'

/** Thousands of models with long SQL fit. */
const BODY_LIMIT = 16 * 1024 * 1024

const closed = { additionalProperties: false } as const

const ConfigBody = Type.Object(
  {
    documents: Type.Array(Type.Unknown(), { description: 'The YAML documents as JSON; `schema` of the CLI prints their shape.' }),
    prune: Type.Optional(Type.Boolean({ description: 'Also delete what the documents lack.' })),
    connect: Type.Optional(Type.Boolean({ description: 'Also ask sources and destinations, through a worker.' })),
  },
  closed,
)

const Message = Type.Object({ pointer: Type.String(), message: Type.String() })

const PlanAnswer = Type.Object({
  changes: Type.Array(
    Type.Object({
      op: Type.Union([Type.Literal('create'), Type.Literal('update'), Type.Literal('delete')]),
      kind: Type.String(),
      name: Type.String(),
      paths: Type.Array(
        Type.Object({ pointer: Type.String(), before: Type.Optional(Type.Unknown()), after: Type.Optional(Type.Unknown()) }),
      ),
    }),
  ),
  unchanged: Type.Integer({ description: 'Documents that are stored as they are.' }),
  effects: Type.Array(
    Type.Object({
      sync: Type.String(),
      effect: Type.Union([Type.Literal('new_baseline'), Type.Literal('full_run'), Type.Literal('other_account')]),
      because: Type.Array(Type.String()),
      records: Type.Integer({ description: 'Records that the sync has sent so far.' }),
      message: Type.String(),
    }),
  ),
  warnings: Type.Array(Message),
})

export interface ConfigRoutesOptions extends ConfigServiceOptions {
  /** Throws Problem 403 unless the caller's token carries the scope. */
  readonly requireScope: (request: FastifyRequest, scope: Scope) => void
}

/**
 * Configuration as documents and as single resources. Errors are thrown as Problem: 400 `validation` for a document that is wrong
 * by itself, 422 `config` for documents that do not fit together or that source or destination do not take, 409 `run_active`.
 */
export const configRoutes: FastifyPluginAsyncTypebox<ConfigRoutesOptions> = async (app, options) => {
  const tags = ['configuration']
  const plan = async (request: FastifyRequest, body: Static<typeof ConfigBody>) => {
    // A worker would resolve the documents' references and send what they stand for to the addresses in the documents.
    if (body.connect === true) options.requireScope(request, 'config:write')
    return planDocuments(options, body)
  }
  app.post(
    '/v1/config/validate',
    {
      bodyLimit: BODY_LIMIT,
      config: { scope: 'config:read' },
      schema: {
        tags,
        summary: 'Check documents against each other and against what is stored',
        body: ConfigBody,
        response: { 200: Type.Object({ valid: Type.Boolean(), warnings: Type.Array(Message) }) },
      },
    },
    async (request) => ({ valid: true, warnings: [...(await plan(request, request.body)).warnings] }),
  )
  app.post(
    '/v1/config/plan',
    {
      bodyLimit: BODY_LIMIT,
      config: { scope: 'config:read' },
      schema: { tags, summary: 'Say what applying the documents would change', body: ConfigBody, response: { 200: PlanAnswer } },
    },
    async (request) => mutable(await plan(request, request.body)),
  )
  app.post(
    '/v1/config/apply',
    {
      bodyLimit: BODY_LIMIT,
      config: { scope: 'config:write' },
      schema: {
        tags,
        summary: 'Create and update what the documents say, all or nothing',
        body: ConfigBody,
        response: { 200: PlanAnswer },
      },
    },
    async (request) => mutable(await applyDocuments(options, request.body)),
  )
  await app.register(resourceRoutes, options)
}

/** The same, in the types of the response's schema, which knows no readonly. */
function mutable({ changes, unchanged, effects, warnings }: Awaited<ReturnType<typeof planDocuments>>) {
  return {
    changes: changes.map((change) => ({ ...change, paths: [...change.paths] })),
    unchanged,
    effects: effects.map((effect) => ({ ...effect, because: [...effect.because] })),
    warnings: [...warnings],
  }
}
