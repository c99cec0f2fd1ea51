import { request as send, type Dispatcher } from 'undici'
import { isObject } from '../../connectors/json-object.ts'
import type { Environment } from '../environment.ts'
import { cliSettings } from '../settings.ts'
import { CliError, EXIT, type ExitCode } from './exit.ts'

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Parsed JSON; null for an empty answer. */
  readonly body: unknown
}

export interface ApiRequest {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Default: JSON.parse. One that keeps all digits where the answer holds row values. */
  readonly parse?: (text: string) => unknown
  /** Default 120 s: what asks a worker may take a minute. */
  readonly timeoutMs?: number
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** The API said no: `message` is its `detail`, `body` the whole problem document. */
export class ApiError extends CliError {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, body: Readonly<Record<string, unknown>>, message: string) {
    const code = textOf(body['code']) ?? String(status)
    super(exitCodeOf(status, code), message)
    this.status = status
    this.code = code
    this.errors = readErrors(body['errors'])
    this.body = body
  }
}

/** The API as the CLI sees it. Nothing is tried again. Every failure is a CliError that names the address. */
export class ApiClient {
  readonly url: string
  readonly #token: string | null

  constructor({ url, token }: { readonly url: string; readonly token: string | null }) {
    this.url = url
    this.#token = token
  }

  /** `path` begins with `/v1/`. Throws ApiError for an answer of 400 and above. */
  async request(method: Method, path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const response = await this.#send(method, path, request)
    const status = response.statusCode
    const body = parse(await response.body.text(), request.parse)
    if (status < 300) {
      if (body === undefined)
        throw new CliError(EXIT.failed, `${this.url} answered ${method} ${path} with something that is not JSON: is it Tailrace's API?`)
      return { status, headers: response.headers, body }
    }
    const problem = isObject(body) ? body : {}
    throw new ApiError(status, problem, this.#refusal(status, problem))
  }

  async get(path: string, request?: ApiRequest): Promise<unknown> {
    return (await this.request('GET', path, request)).body
  }

  async post(path: string, body: unknown, request?: ApiRequest): Promise<unknown> {
    return (await this.request('POST', path, { ...request, body })).body
  }

  async #send(method: Method, path: string, { body, headers, signal, timeoutMs = 120_000 }: ApiRequest): Promise<Dispatcher.ResponseData> {
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      return await send(this.url + path, {
        method,
        headers: {
          accept: 'application/json',
          ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      })
    } catch (cause) {
      if (signal?.aborted === true) throw cause
      if (timeout.aborted) throw new CliError(EXIT.failed, `the API at ${this.url} did not answer within ${timeoutMs / 1000} s`, { cause })
      const why = isObject(cause) ? textOf(cause['code']) : null
      const how = 'Start it with `tailrace dev` or `tailrace api`, or set TAILRACE_URL to where it runs.'
      throw new CliError(EXIT.failed, `The API at ${this.url} cannot be reached (${why ?? 'no connection'}). ${how}`, { cause })
    }
  }

  #refusal(status: number, problem: Readonly<Record<string, unknown>>): string {
    const detail = textOf(problem['detail']) ?? textOf(problem['title'])
    const said = detail ?? `the API at ${this.url} answered ${status} without saying why: is it Tailrace's?`
    if (status === 401) return `${said} (set TAILRACE_API_TOKEN to a token of the API at ${this.url})`
    const errors = readErrors(problem['errors'])
    return errors.length < 2 ? said : [said, ...errors.map(({ pointer, message }) => `  ${pointer}: ${message}`)].join('\n')
  }
}

/** Documents that are wrong are told by file and line before it comes to this; what else is not valid was given on the command line. */
function exitCodeOf(status: number, code: string): ExitCode {
  if (status === 401 || code === 'config') return EXIT.configuration
  return code === 'validation' || code === 'options' ? EXIT.usage : EXIT.failed
}

/** By TAILRACE_URL and TAILRACE_API_TOKEN. */
export function apiClient(env: Environment): ApiClient {
  const { url, apiToken } = cliSettings(env)
  return new ApiClient({ url, token: apiToken })
}

/** Undefined: not JSON. */
function parse(text: string, read: (text: string) => unknown = JSON.parse): unknown {
  if (text === '') return null
  try {
    return read(text)
  } catch {
    return undefined
  }
}

function readErrors(value: unknown): { pointer: string; message: string }[] {
  if (!Array.isArray(value)) return []
  return value.filter(isObject).map((error) => ({ pointer: textOf(error['pointer']) ?? '', message: textOf(error['message']) ?? '' }))
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
