import { LogController, type FastifyReply, type FastifyRequest } from 'fastify'

/** One line for a request that has ended. It carries the route's pattern: paths and queries hold keys, which are row values. */
export class AccessLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const line = { method: request.method, route: routeOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime) }
    if (error) request.log.error({ ...line, err: error }, 'request broke off')
    else request.log.info(line, 'request')
  }

  override defaultErrorLog(): void {}
  override routeNotFound(): void {}
}

/** The pattern, such as `/v1/runs/:id`; for unknown paths one word. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'unknown'
}
