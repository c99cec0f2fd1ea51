import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { AccessLog, routeOf } from './access-log.ts'
import { accessGuard } from './access.ts'
import { configOptions } from './config-options.ts'
import { configRoutes } from './config-routes.ts'
import type { ApiDeps } from './deps.ts'
import { registerDocumentation } from './documentation.ts'
import { answerError, answerNoRequest } from './errors.ts'
import { inspectRoutes } from './inspect-routes.ts'
import { Problem } from './problem.ts'
import { recordRoutes } from './record-routes.ts'
import { runControlRoutes } from './run-control-routes.ts'
import { runRoutes } from './run-routes.ts'
import { RunWatch } from './run-watch.ts'
import { compileValidator } from './validation.ts'

/** Enough for any single request but a whole configuration, whose routes allow more. */
const BODY_LIMIT_BYTES = 1024 * 1024
/** Above the longest answer: a worker may take a minute. */
const SILENCE_MS = 120_000
/** For each address; keeps a loop that went wrong from starving the others. */
const REQUESTS_A_MINUTE = 6000
const BUSY_MS = 2000

/** The HTTP API, not listening yet. Closing it lets requests end; those that wait for a run are answered at once. */
export async function buildApi(deps: ApiDeps): Promise<FastifyInstance> {
  const stopping = new AbortController()
  const watch = new RunWatch(deps.db)
  const log: FastifyBaseLogger = deps.log
  const app = Fastify({
    loggerInstance: log,
    logController: new AccessLog(),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: 30_000,
    connectionTimeout: SILENCE_MS,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: () => crypto.randomUUID(),
    routerOptions: { maxParamLength: 8192 },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerNoRequest,
  })
  app.setValidatorCompiler(compileValidator)
  // Response schemas describe; what an answer holds is the routes' business.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler(answerError)
  app.removeContentTypeParser('text/plain')
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    // Many clients name the type always: nothing is no body, as without it.
    if (body === '') done(null)
    else void parseJson(request, body, done)
  })
  app.addHook('onRoute', ({ url, config }) => {
    if (url.startsWith('/v1/') && config?.scope === undefined) throw new Error(`the route ${url} names no scope`)
  })
  deps.traceRequests?.(app)
  await protect(app, deps)
  app.addHook('onResponse', async (request, reply) =>
    deps.metrics.observeRequest({ method: request.method, route: routeOf(request), status: reply.statusCode }, reply.elapsedTime / 1000),
  )
  app.addHook('preClose', async () => stopping.abort())
  app.addHook('onClose', () => watch.close())

  await registerDocumentation(app)
  await app.register(configRoutes, configOptions(deps))
  await app.register(runRoutes, { deps, watch, stopping: stopping.signal })
  await app.register(runControlRoutes, { deps })
  await app.register(recordRoutes, { deps })
  await app.register(inspectRoutes, { deps })
  return app
}

async function protect(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] } },
  })
  await app.register(underPressure, {
    maxEventLoopDelay: BUSY_MS,
    pressureHandler: () => {
      throw new Problem({ status: 503, code: 'busy', detail: 'the API is overloaded; try again in a few seconds' })
    },
  })
  await app.register(rateLimit, {
    max: REQUESTS_A_MINUTE,
    timeWindow: '1 minute',
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { after }) =>
      new Problem({ status: 429, code: 'rate_limit', detail: `too many requests from this address; try again in ${after}` }),
  })
  app.decorateRequest('principal', null)
  app.addHook('onRequest', accessGuard(deps.tokens))
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, ({ method }) => {
    throw new Problem({ status: 404, code: 'not_found', detail: `nothing takes ${method} at this path; /openapi.json lists what there is` })
  })
}
