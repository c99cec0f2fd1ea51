import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parse, stringify } from 'lossless-json'
import { control } from './control.ts'
import { FaultScript, type Fault } from './faults.ts'
import { Holds } from './holds.ts'
import { jsonAnswer, type StandIn, type StandInAnswer, type StandInRequest } from './stand-in.ts'
import type { SandboxState } from './state.ts'

export interface SandboxOptions {
  readonly standIns: readonly StandIn[]
  /** Added before every answer of a stand-in, milliseconds; default 0. */
  readonly latencyMs?: number
}

export interface Sandbox {
  /** Starts to listen; port 0 takes a free one. Once only. */
  listen(port: number, host?: string): Promise<{ readonly url: string }>
  readonly state: SandboxState
  /** Drops held requests and every connection. */
  close(): Promise<void>
}

/** One HTTP server that routes `/slug/…` to stand-ins and `/_sandbox/…` to the control routes (control.ts). All state is in memory. */
export function createSandbox({ standIns, latencyMs = 0 }: SandboxOptions): Sandbox {
  const state: SandboxState = {
    standIns: new Map(standIns.map((standIn) => [standIn.slug, standIn])),
    faults: new FaultScript(),
    holds: new Holds(),
    requests: new Map(),
    latencyMs,
    startLatencyMs: latencyMs,
  }
  const server = createServer((incoming, response) => {
    serve(state, incoming, response).catch((error: unknown) => {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
      if (!response.headersSent && !response.destroyed) send(response, jsonAnswer(500, { sandboxError: detail }))
      else response.destroy()
    })
  })
  server.keepAliveTimeout = 60_000

  return {
    state,
    listen: (port, host = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          const address = server.address()
          const actual = typeof address === 'object' && address !== null ? address.port : port
          resolve({ url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}` })
        })
      }),
    async close() {
      state.holds.drop()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

async function serve(state: SandboxState, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://sandbox')
  const [, first = '', rest = ''] = /^\/([^/]*)(.*)$/.exec(url.pathname) ?? []
  const atRoot = [...state.standIns.values()].find(({ root }) => root === first)
  const slug = atRoot?.slug ?? first
  const [method, path] = [incoming.method ?? 'GET', atRoot ? url.pathname : rest === '' ? '/' : rest]
  const head = { method, path, query: url.searchParams, headers: incoming.headers }
  const standIn = state.standIns.get(slug)
  const fault = standIn === undefined ? null : state.faults.next(slug, method, path)
  if (standIn !== undefined) count(state, slug, head)
  if (fault?.do === 'reset_mid_request') return resetMidRequest(incoming)
  const request: StandInRequest = { ...head, body: await bodyOf(incoming) }
  if (slug === '_sandbox') {
    send(response, await control(state, request))
    return
  }
  if (standIn === undefined) {
    send(response, jsonAnswer(404, { error: `no stand-in "${slug}" here`, standIns: [...state.standIns.keys()] }))
    return
  }

  const apply = async (): Promise<StandInAnswer> => standIn.handle(request)
  if (fault !== null) return strike(fault, apply, state.holds, response)
  const answer = await apply()
  if (state.latencyMs > 0) await delay(state.latencyMs)
  send(response, answer)
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function resetMidRequest(incoming: IncomingMessage): Promise<void> {
  const half = Number(incoming.headers['content-length'] ?? 0) / 2
  let size = 0
  for await (const chunk of incoming) if (Buffer.isBuffer(chunk) && (size += chunk.length) >= half) break
  incoming.socket.resetAndDestroy()
}

async function strike(fault: Fault, apply: () => Promise<StandInAnswer>, holds: Holds, response: ServerResponse): Promise<void> {
  switch (fault.do) {
    // The latter has struck before the request was read.
    case 'drop_before':
    case 'reset_mid_request':
      response.destroy()
      return
    case 'drop_after':
      await apply()
      response.destroy()
      return
    case 'status':
    case 'html':
      if (fault.commit === 'before' || fault.commit === 'after') await apply()
      if (fault.delayMs !== undefined) await delay(fault.delayMs)
      send(response, scripted(fault))
      return
    case 'slow':
    case 'hold': {
      const first = (fault.commit ?? (fault.do === 'slow' ? 'before' : 'after')) === 'before' ? await apply() : null
      const goOn = fault.do === 'hold' ? await holds.hold() : await delay(fault.delayMs ?? 1000, true)
      if (!goOn) response.destroy()
      else send(response, first ?? (await apply()))
      return
    }
    case 'partial':
      send(response, everySecond(await apply()))
      return
    case 'truncate':
    case 'reset_mid_body':
      cutShort(response, await apply(), fault.do === 'reset_mid_body')
  }
}

/** Lists of results lose every second element; a body that is no JSON, or has none, stays. */
function everySecond(answer: StandInAnswer): StandInAnswer {
  const body: unknown = answer.body === undefined ? null : parse(answer.body.toString())
  const thin = (list: readonly unknown[]): unknown[] => list.filter((_, index) => index % 2 === 1)
  if (Array.isArray(body)) return { ...answer, body: stringify(thin(body)) ?? '' }
  if (typeof body !== 'object' || body === null || !('results' in body) || !Array.isArray(body.results)) return answer
  return { ...answer, body: stringify({ ...body, results: thin(body.results) }) ?? '' }
}

function scripted(fault: Fault): StandInAnswer {
  const html = fault.do === 'html'
  const body = typeof fault.body === 'string' ? fault.body : fault.body === undefined ? '' : JSON.stringify(fault.body)
  return {
    status: fault.status ?? (html ? 502 : 503),
    headers: { 'content-type': html ? 'text/html' : 'application/json', ...fault.headers },
    body: html && body === '' ? '<html><body><h1>502 Bad Gateway</h1></body></html>' : body,
  }
}

/** The head announces the whole answer; half of it (at least one byte is kept back) is sent. */
function cutShort(response: ServerResponse, answer: StandInAnswer, reset: boolean): void {
  const body = Buffer.from(answer.body ?? '')
  const whole = body.length === 0 ? Buffer.from('{}') : body
  response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers, 'content-length': String(whole.length) })
  response.write(whole.subarray(0, Math.floor(whole.length / 2)), () => {
    if (reset) response.socket?.resetAndDestroy()
    else response.socket?.end()
  })
}

function send(response: ServerResponse, answer: StandInAnswer): void {
  if (response.destroyed) return
  const body = Buffer.from(answer.body ?? '')
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': String(body.length), ...answer.headers })
  response.end(body)
}

function count(state: SandboxState, system: string, { method, path }: Pick<StandInRequest, 'method' | 'path'>): void {
  const id = `${system} ${method} ${path}`
  const entry = state.requests.get(id) ?? { system, method, path, count: 0 }
  entry.count += 1
  state.requests.set(id, entry)
}
