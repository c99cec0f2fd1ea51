import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { NoWorkerError } from '../../activities/launch/inspect.ts'
import { databaseAway } from '../../state/away.ts'
import { CursorError } from '../../state/cursor.ts'
import { UnknownSyncError } from '../../state/run-requests.ts'
import { Problem } from './problem.ts'
import { validationProblem } from './validation.ts'

const PROBLEM_TYPE = 'application/problem+json'

/** Answers any error as RFC 9457 problem+json. What we did not foresee is logged and told by its request id only. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = asProblem(error)
  if (problem.status >= 500)
    request.log.error({ err: problem.cause ?? error, route: request.routeOptions.url, code: problem.code }, 'request failed')
  if (problem.status === 503) reply.header('retry-after', '5')
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(bodyOf(problem, request.id))
}

/** Answers what is no HTTP request and so comes to no route; the connection ends with it. */
export function answerNoRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  const problem = noRequest(error.code)
  const body = JSON.stringify(bodyOf(problem, crypto.randomUUID()))
  const head = `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`)
}

function noRequest(code: string | undefined): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem({ status: 408, code: 'timeout', detail: 'the request did not arrive in time' })
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem({ status: 431, code: 'too_large', detail: 'address and headers are larger than the API accepts' })
  return new Problem({ status: 400, code: 'http', detail: 'this is not an HTTP request that can be read' })
}

function bodyOf({ status, title, detail, code, errors, extra }: Problem, requestId: string): object {
  return {
    type: `urn:tailrace:problem:${code}`,
    title,
    status,
    detail,
    code,
    requestId,
    ...(errors === null ? {} : { errors }),
    ...extra,
  }
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof CursorError) {
    return new Problem({ status: 400, code: 'validation', detail: error.message, errors: [{ pointer: '/cursor', message: error.message }] })
  }
  if (error instanceof UnknownSyncError) return new Problem({ status: 404, code: 'not_found', detail: error.message })
  if (error instanceof NoWorkerError) return new Problem({ status: 503, code: 'no_worker', detail: error.message, cause: error })
  if (databaseAway(error)) {
    return new Problem({ status: 503, code: 'database_away', detail: 'the state database does not answer; try again', cause: error })
  }
  const state = sqlState(error)
  if (state === UNDEFINED_TABLE || state === UNDEFINED_COLUMN)
    return new Problem({
      status: 503,
      code: 'schema',
      detail: 'the state database lacks tables of this version: run `tailrace migrate`',
      cause: error,
    })
  if (state.startsWith(DATA_EXCEPTION)) {
    const detail = `a text of the request holds a character that cannot be stored, or a number is out of range (SQLSTATE ${state})`
    return new Problem({ status: 400, code: 'validation', detail, errors: [{ pointer: '', message: detail }] })
  }
  if (isFastifyError(error) && error.validation) return validationProblem(error.validation, error.validationContext)
  if (isFastifyError(error) && error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return refusal(error)
  return new Problem({
    status: 500,
    code: 'internal',
    detail: 'Something went wrong here. The log of the API has it under this requestId.',
    cause: error,
  })
}

/** What the framework refuses. Its own messages may quote the path or the body. */
function refusal({ code, statusCode = 400 }: FastifyError): Problem {
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem({ status: 415, code: 'media_type', detail: 'the body must be application/json' })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem({ status: 413, code: 'too_large', detail: 'the body is larger than the API accepts' })
    case 'FST_ERR_BAD_URL':
      return new Problem({ status: 400, code: 'url', detail: 'the path is not properly URL-encoded' })
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem({ status: 414, code: 'url', detail: 'a part of the path is too long' })
    default:
      return new Problem({
        status: statusCode,
        code: statusCode === 400 ? 'json' : 'request',
        detail: statusCode === 400 ? 'the body is not valid JSON' : 'the request was refused',
      })
  }
}

/** A class: a value that PostgreSQL was given is none that it can take, and those come from the request. NUL in a text, for one. */
const DATA_EXCEPTION = '22'
const UNDEFINED_TABLE = '42P01'
const UNDEFINED_COLUMN = '42703'

/** Empty for what PostgreSQL did not say. */
function sqlState(error: unknown): string {
  return error instanceof Error && 'severity' in error && 'code' in error ? String(error.code) : ''
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && ('statusCode' in error || 'validation' in error)
}
