import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { CliError, EXIT } from './cli/exit.ts'
import { VERSION } from './version.ts'

export interface Readiness {
  readonly ok: boolean
  /** `database` or `temporal`. */
  readonly failing?: string
}

export interface ObserveOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** May reject; that counts as not ready. */
  readonly ready: () => Promise<Readiness>
  readonly metrics: Registry
}

/**
 * The listener for `/livez`, `/readyz` and `/metrics`, which ask for no token. Alive is who answers; ready is whose dependencies
 * answer too. Throws CliError when the port is taken.
 */
export async function startObserve(options: ObserveOptions): Promise<{ readonly port: number; close(): Promise<void> }> {
  const registry = options.metrics
  const answers: Readonly<Record<string, () => Promise<Answer>>> = {
    '/livez': async () => json(200, { ok: true }),
    '/readyz': async () => {
      const readiness = await options.ready().catch(() => ({ ok: false, failing: 'unknown' }))
      return json(readiness.ok ? 200 : 503, readiness)
    },
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  }
  const server = createServer((request, response) => {
    const answer = request.method === 'GET' || request.method === 'HEAD' ? answers[(request.url ?? '').split('?')[0] ?? ''] : undefined
    void (answer ?? notFound)()
      .catch(() => json(503, { ok: false }))
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body))
  })
  server.requestTimeout = 10_000
  await listen(server, options)
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json', body: JSON.stringify(body) }
}

async function notFound(): Promise<Answer> {
  return json(404, { ok: false })
}

/** What prom-client knows of the process, and which version it runs. */
export function processMetrics(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  new Gauge({ name: 'tailrace_build_info', help: 'Always 1.', labelNames: ['version'], registers: [registry] }).set({ version: VERSION }, 1)
  return registry
}

function listen(server: Server, { host, port }: ObserveOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken =
        cause.code === 'EADDRINUSE'
          ? 'is in use: stop what listens there, or choose another'
          : `cannot be listened on (${cause.code ?? 'unknown'}): choose another`
      reject(
        new CliError(EXIT.failed, `Port ${port} of ${host} for metrics ${taken} by TAILRACE_METRICS_PORT (0: any free one).`, { cause }),
      )
    })
    server.listen(port, host, resolve)
  })
}

/** For gauges that are read together: callers that come while it runs get the same answer. */
export function sharedWhileRunning<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () =>
    (running ??= work().finally(() => {
      running = null
    }))
}
