import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { isLoopback } from '../../connectors/address.ts'
import { Problem } from './problem.ts'
import type { Principal, Scope } from './scope.ts'
import type { TokenStore } from './tokens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token it carries; null where the API asks for none. */
    principal: Principal | null
  }
}

/**
 * Lets a request pass if its bearer token carries the route's scope; a route that names none (the documentation, unknown paths) asks
 * for any valid token. Without tokens only a browser page of another origin is kept out, which could otherwise reach a loopback listener.
 */
export function accessGuard(tokens: TokenStore | null): onRequestAsyncHookHandler {
  return async (request, reply) => {
    if (tokens === null) {
      refuseForeignPages(request)
      return
    }
    request.principal = await identify(tokens, request, reply)
    const scope: Scope | undefined = request.routeOptions.config.scope
    if (scope !== undefined) requireScope(request, scope)
  }
}

/** Throws Problem 403 unless the caller's token carries the scope. */
export function requireScope({ principal }: FastifyRequest, scope: Scope): void {
  if (principal === null || principal.scopes.has(scope)) return
  throw new Problem({ status: 403, code: 'scope', detail: `the token ${principal.name} lacks the scope ${scope}` })
}

async function identify(tokens: TokenStore, request: FastifyRequest, reply: FastifyReply): Promise<Principal> {
  const [scheme, token, ...more] = (request.headers.authorization ?? '').split(' ')
  const principal = scheme?.toLowerCase() === 'bearer' && token && more.length === 0 ? await tokens.find(token) : null
  if (principal !== null) return principal
  reply.header('www-authenticate', 'Bearer')
  const detail = request.headers.authorization === undefined ? 'send Authorization: Bearer with an API token' : 'this token is not known'
  throw new Problem({ status: 401, code: 'token', detail })
}

/** The host check stops DNS rebinding, the origin check forms and scripts of other sites. */
function refuseForeignPages(request: FastifyRequest): void {
  const { host, origin } = request.headers
  const sameOrigin = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
  if (sameOrigin && isLoopback((host ?? '').replace(/:\d+$/, ''))) return
  throw new Problem({
    status: 403,
    code: 'foreign_origin',
    detail: 'without an API token only this machine may call, by a loopback address; set TAILRACE_API_TOKEN to call from elsewhere',
  })
}
