import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { decodeCursor, encodeCursor } from '../../state/cursor.ts'
import { getResource, listResources, type StoredResource } from '../../state/resources.ts'
import { Name, SPECS, type Kind } from '../../state/spec.ts'
import { deleteResource, notFound, putResource, type ConfigServiceOptions } from '../config/service.ts'

const COLLECTIONS: readonly (readonly [string, Kind])[] = [
  ['sources', 'Source'],
  ['models', 'Model'],
  ['destinations', 'Destination'],
  ['syncs', 'Sync'],
  ['notifications', 'Notification'],
]

const Params = Type.Object({ name: Name })
const IfMatch = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'The `etag` that the change is meant for.' })) })
const ResourceAnswer = Type.Object({ kind: Type.String(), name: Type.String(), etag: Type.String() }, { additionalProperties: true })
const Page = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 500, default: 100 }),
    cursor: Type.Optional(Type.String({ description: '`next` of the page before.' })),
  },
  { additionalProperties: false },
)

/** Lists, single resources, PUT and DELETE, for every kind. */
export const resourceRoutes: FastifyPluginAsyncTypebox<ConfigServiceOptions> = async (app, options) => {
  for (const [collection, kind] of COLLECTIONS) {
    const tags = [collection]
    app.get(
      `/v1/${collection}`,
      {
        config: { scope: 'config:read' },
        schema: {
          tags,
          summary: `List ${collection}`,
          querystring: Page,
          response: { 200: Type.Object({ data: Type.Array(ResourceAnswer), next: Type.Union([Type.String(), Type.Null()]) }) },
        },
      },
      async ({ query: { limit, cursor } }) => {
        const [after = null] = decodeCursor(cursor, [/^[a-z0-9-]+$/]) ?? []
        const found = await listResources(options.db, { kind, limit: limit + 1, after })
        const data = found.slice(0, limit)
        const last = data.at(-1)
        return { data: data.map(toBody), next: found.length > limit && last ? encodeCursor([last.name]) : null }
      },
    )
    app.get(
      `/v1/${collection}/:name`,
      {
        config: { scope: 'config:read' },
        schema: { tags, summary: `Read one ${kind}`, params: Params, response: { 200: ResourceAnswer } },
      },
      async ({ params: { name } }, reply) => {
        const resource = await getResource(options.db, kind, name)
        if (!resource) throw notFound(kind, name)
        return withEtag(reply, resource)
      },
    )
    app.put(
      `/v1/${collection}/:name`,
      {
        config: { scope: 'config:write' },
        // The body is checked by the rules of the documents, whose messages name what is meant; the schema is for readers.
        validatorCompiler: () => acceptAny,
        schema: {
          tags,
          summary: `Create or replace one ${kind}`,
          description: 'The body is the content of the YAML document without `kind` and `name`.',
          params: Params,
          headers: IfMatch,
          body: SPECS[kind],
          response: { 200: ResourceAnswer, 201: ResourceAnswer },
        },
      },
      async (request, reply) => {
        const content: unknown = request.body
        const { name } = request.params
        const { resource, created } = await putResource(options, { kind, name, content }, matcher(request.headers['if-match']))
        if (created) reply.code(201).header('location', `/v1/${collection}/${name}`)
        return withEtag(reply, resource)
      },
    )
    app.delete(
      `/v1/${collection}/:name`,
      {
        config: { scope: 'config:write' },
        schema: { tags, summary: `Delete one ${kind}`, params: Params, headers: IfMatch, response: { 204: Type.Null() } },
      },
      async (request, reply) => {
        await deleteResource(options, { kind, name: request.params.name }, matcher(request.headers['if-match']))
        return reply.code(204).send(null)
      },
    )
  }
}

function acceptAny(): true {
  return true
}

function toBody({ kind, name, spec, version }: StoredResource) {
  return { kind, name, ...spec, etag: String(version) }
}

function withEtag(reply: FastifyReply, resource: StoredResource) {
  reply.header('etag', `"${resource.version}"`)
  return toBody(resource)
}

/** Whether a stored version (null: there is none) is one that the header names. Quotes may be left out. */
function matcher(header: string | undefined): (version: number | null) => boolean {
  if (header === undefined) return () => true
  const tags = header.split(',').map((tag) => tag.trim().replace(/^(?:W\/)?"?|"$/g, ''))
  return (version) => version !== null && (tags.includes('*') || tags.includes(String(version)))
}
