import { tracingChannel } from 'node:diagnostics_channel'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Pool, buildConnector, type Dispatcher } from 'undici'
import type { RequestGate } from './contract.ts'
import { ConnectorError } from './errors.ts'
import { classifyFailure } from './http-errors.ts'
import { assertPublicLiteral, publicLookup } from './http-guard.ts'

/** A connection must stand within this. */
const CONNECT_TIMEOUT_MS = 10_000

export interface HttpOptions {
  /** `http:` or `https:` address; its path, if any, is put before every request's path. Query and fragment are ignored. */
  readonly baseUrl: string
  /** Requests in flight at most; a further one waits. */
  readonly connections: number
  /** false: every address the host resolves to must be public, judged at each connect, or the request fails with `config`. */
  readonly allowPrivateNetwork: boolean
  /** Names the destination in messages, for example `HubSpot (api.hubapi.com)`. No secrets, no path with row values. */
  readonly label: string
  /** A longer answer is cut off and counts as lost; default 32 MiB. */
  readonly maxResponseBytes?: number
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Starts with `/`, query included. Never appears in messages. */
  readonly path: string
  /** A function is called after `admit`, so that a timestamp in it is fresh. Never appear in messages. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)
  /** A stream is read as it is sent (chunked); whoever makes it sees to its end. An error in it breaks the request off. */
  readonly body?: string | Buffer | AsyncIterable<Buffer>
  /** Gets the body of a 2xx answer as it comes, of any length; `text` is empty then. What it throws breaks the answer off. */
  readonly receive?: (chunk: Buffer) => void
  /** From the moment the request is handed to its connection; then the connection is destroyed. */
  readonly timeoutMs: number
  readonly gate: RequestGate
  /** The request in words for messages, for example `upsert of a batch`. No row values. */
  readonly what: string
}

export interface HttpResponse {
  readonly status: number
  /** Names in lower case; repeated headers joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export interface Http {
  /**
   * One exchange: `gate.admit()`, a connection, then `gate.assertFresh()` synchronously before the first byte is written. Any
   * status is an answer, redirects included: they are not followed. Never retries; the caller decides. Throws ConnectorError:
   * `cancelled` if `gate.signal` fired before the first byte (later it changes nothing: a request in flight ends by itself),
   * `unreachable` or `config` if nothing was sent, `in_doubt` if the answer was lost, and what the gate itself throws.
   */
  request(request: HttpRequest): Promise<HttpResponse>
  /** Makes a TCP (and TLS) connection and drops it; sends no request. Throws as `request` does. */
  probe(): Promise<void>
  /** Waits for requests in flight, then closes the connections. */
  close(): Promise<void>
}

/** A request as it is told to whoever listens; no path, no headers, no body. */
export interface Exchange {
  readonly label: string
  readonly method: string
  readonly what: string
  /** Set when the answer is there. */
  result?: HttpResponse
  error?: unknown
}

/** Every exchange, from hand-over to answer, for metrics and traces: Node's own way to watch without being known. */
export const exchanges = tracingChannel<unknown, Exchange>('tailrace:exchange')

/** A gate for requests outside a batch (check, describe): no budget, no claim; `signal` keeps further requests from starting. */
export function openGate(signal: AbortSignal): RequestGate {
  return { signal, admit: () => Promise.resolve(), assertFresh: () => undefined, allow: () => undefined }
}

/** Opens a pool of kept-alive HTTP/1.1 connections to one origin, without pipelining. Connects lazily. Throws `config` for a bad address. */
export function openHttp(options: HttpOptions): Http {
  const base = parseBase(options)
  const prefix = base.pathname.replace(/\/+$/, '')
  const guard = options.allowPrivateNetwork ? {} : { lookup: publicLookup }
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, ...guard })
  const limits = { connections: options.connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, allowH2: false }
  const pool = new Pool(base.origin, { ...limits, connect })
  const maxBytes = options.maxResponseBytes ?? 32 * 1024 * 1024

  return {
    async request(request) {
      assertOpen(request.gate.signal, options.label)
      if (!options.allowPrivateNetwork) assertPublicLiteral(base.hostname)
      await request.gate.admit()
      assertOpen(request.gate.signal, options.label)
      const headers = typeof request.headers === 'function' ? request.headers() : (request.headers ?? {})
      const { label } = options
      return exchanges.tracePromise(() => exchange(pool, { ...request, headers, path: prefix + request.path }, label, maxBytes), {
        label,
        method: request.method,
        what: request.what,
      })
    },
    async probe() {
      if (!options.allowPrivateNetwork) assertPublicLiteral(base.hostname)
      const { hostname, host, protocol, port } = base
      const target = { hostname: hostname.replace(/^\[(.*)\]$/, '$1'), host, protocol, port }
      await new Promise<void>((resolve, reject) => {
        connect(target, (error, socket) => {
          if (error !== null) return reject(classifyFailure(error, false, options.label, 'a connection'))
          socket.destroy()
          return resolve()
        })
      })
    },
    close: () => pool.close(),
  }
}

function parseBase({ baseUrl, label }: HttpOptions): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new ConnectorError('config', `${label}: the address must be an http:// or https:// URL`)
  if (url.username !== '' || url.password !== '')
    throw new ConnectorError('config', `${label}: the address must not hold a user name or password`)
  return url
}

function assertOpen(signal: AbortSignal, label: string): void {
  if (signal.aborted) throw new ConnectorError('cancelled', `${label}: cancelled before the request was sent`)
}

interface Prepared extends HttpRequest {
  readonly headers: Readonly<Record<string, string>>
}

function exchange(pool: Pool, request: Prepared, label: string, maxBytes: number): Promise<HttpResponse> {
  const { gate, timeoutMs, what, method, path, headers, body, receive } = request
  return new Promise((resolve, reject) => {
    let dispatched = false
    let settled = false
    let size = 0
    let status = 0
    let answerHeaders: Record<string, string> = {}
    const chunks: Buffer[] = []
    let abort: ((reason: Error) => void) | null = null

    const settle = (finish: () => void): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      gate.signal.removeEventListener('abort', onCancel)
      finish()
    }
    const fail = (cause: unknown): void => settle(() => reject(classifyFailure(cause, dispatched, label, what)))
    const cut = (reason: Error): void => {
      fail(reason)
      abort?.(reason)
    }
    const expire = (): void =>
      cut(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: dispatched ? 'TIMEOUT' : 'ETIMEDOUT' }))
    const onCancel = (): void => {
      if (!dispatched) fail(new ConnectorError('cancelled', `${label}: cancelled before the request was sent`))
    }

    let timer = setTimeout(expire, timeoutMs)
    gate.signal.addEventListener('abort', onCancel)

    const handler: Dispatcher.DispatchHandler = {
      // The client calls this on an established connection, immediately before it writes; what is thrown here sends nothing.
      onRequestStart(controller) {
        if (settled) throw new Error('given up before it was sent')
        assertOpen(gate.signal, label)
        gate.assertFresh()
        dispatched = true
        abort = (reason) => controller.abort(reason)
        clearTimeout(timer)
        timer = setTimeout(expire, timeoutMs)
      },
      onResponseStart(_controller, statusCode, incoming) {
        if (statusCode < 200) return
        status = statusCode
        answerHeaders = flatten(incoming)
      },
      onResponseData(controller, chunk) {
        if (receive && status < 300) {
          receive(chunk)
          if (mayBePaused(answerHeaders)) {
            // Else up to 2 MB are handed over in one turn of the event loop: 60 ms of reading CSV.
            controller.pause()
            setImmediate(() => controller.resume())
          }
          return
        }
        size += chunk.length
        if (size > maxBytes) cut(Object.assign(new Error(`the answer is longer than ${maxBytes} bytes`), { code: 'ANSWER_TOO_LONG' }))
        else chunks.push(chunk)
      },
      onResponseEnd() {
        gate.watch?.('answered')
        settle(() => resolve({ status, headers: answerHeaders, text: Buffer.concat(chunks).toString('utf8') }))
      },
      onResponseError(_controller, error) {
        fail(error)
      },
    }
    try {
      pool.dispatch({ method, path, ...payloadOf(headers, body, gate.watch) }, handler)
    } catch (error) {
      fail(error)
    }
  })
}

/** An answer that says itself where it ends. In one that ends with its connection undici 7 asserts that it is not paused, uncaught. */
function mayBePaused(headers: Readonly<Record<string, string>>): boolean {
  return headers['transfer-encoding'] === 'chunked' && !/close/i.test(headers['connection'] ?? '')
}

type Payload = Pick<Dispatcher.DispatchOptions, 'headers' | 'body'>

function payloadOf(headers: Readonly<Record<string, string>>, body: HttpRequest['body'], watch: RequestGate['watch']): Payload {
  if (body === undefined) return { headers, body: null }
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) return { headers, body: Readable.from(body, { objectMode: false }) }
  return watch ? inHalves(headers, body, watch) : { headers, body }
}

/** The same bytes on the wire, in two writes. */
function inHalves(headers: Readonly<Record<string, string>>, body: string | Buffer, watch: (moment: 'half') => void): Payload {
  const bytes = Buffer.from(body)
  if (bytes.length === 0) return { headers, body }
  const middle = Math.floor(bytes.length / 2)
  async function* halves(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, middle)
    // The first half is handed to the socket in the turn in which it is read.
    await nextTurn()
    watch('half')
    yield bytes.subarray(middle)
  }
  return { headers: { ...headers, 'content-length': String(bytes.length) }, body: Readable.from(halves(), { objectMode: false }) }
}

function flatten(incoming: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming)) {
    if (value !== undefined) out[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value
  }
  return out
}
