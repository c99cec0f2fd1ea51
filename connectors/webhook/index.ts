import type { Destination, DestinationConnector, RequestGate, WriteRequest } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { openHttp } from '../http.ts'
import { jsonEncoder } from '../json-values.ts'
import { readAnswer } from './answer.ts'
import { parseWebhookConfig, WebhookConfig, webhookAccount } from './config.ts'
import { webhookSigner } from './signature.ts'

/**
 * Batches as signed HTTP requests (Standard Webhooks). At least once: a repeat of a batch carries the same `webhook-id` and the
 * same body bytes; only timestamp and signature are fresh. Nothing can be read back, so `readBack` is absent and a batch in doubt
 * is sent again as it was.
 */
export const webhook: DestinationConnector = {
  slug: 'webhook',
  title: 'Webhook',
  config: WebhookConfig,
  secrets: ['secret'],
  modes: ['upsert', 'update', 'insert', 'mirror'],
  needsObject: false,
  needsMatch: false,
  open,
}

function open(input: Record<string, unknown>): Destination {
  const { config, url } = parseWebhookConfig(input)
  const signer = webhookSigner(config.secret)
  const label = `webhook ${url.host}`
  const concurrency = config.concurrency ?? 8
  const timeoutMs = (config.timeoutSeconds ?? 30) * 1000
  const allowPrivateNetwork = config.allowPrivateNetwork ?? false
  const http = openHttp({ baseUrl: url.origin, connections: concurrency, allowPrivateNetwork, label })
  const configured = Object.fromEntries(Object.entries(config.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))

  return {
    batchSize: config.batchSize ?? 100,
    concurrency,
    requestsPerSecond: null,
    timeoutMs,
    lostRequestMs: (config.lostRequestSeconds ?? 0) * 1000,
    account: webhookAccount(url, config.secret),
    clear: 'null',
    async check() {
      try {
        await http.probe()
        return {
          ok: true,
          detail: `${url.host} accepts connections; nothing was sent, so address and secret are proved by the first batch only`,
        }
      } catch (error) {
        if (!(error instanceof ConnectorError)) throw error
        return { ok: false, detail: error.message }
      }
    },
    describe: () => Promise.resolve(null),
    encoder: (_field, kind) => jsonEncoder(kind, config.numbers ?? 'json'),
    fold: (matchValue) => matchValue,
    async write(request: WriteRequest, gate: RequestGate) {
      const body = Buffer.from(requestBody(request))
      const headers = () => ({
        'user-agent': 'tailrace',
        ...configured,
        'content-type': 'application/json',
        ...signer.headers(request.batchId, body, Date.now()),
      })
      const path = url.pathname + url.search
      const answer = await http.request({ method: 'POST', path, headers, body, timeoutMs, gate, what: 'a batch' })
      const ids = request.records.map(({ id }) => id)
      return readAnswer(answer, ids, label, Date.now())
    },
    close: () => http.close(),
  }
}

/** The frozen record lines joined: equal requests give equal bytes. */
function requestBody({ plannedAt, sync, run, batchId, records }: WriteRequest): string {
  const lines = records.map(({ line }) => line).join(',')
  const head = `"sync":${JSON.stringify(sync)},"run":${JSON.stringify(run)},"batch":${JSON.stringify(batchId)}`
  return `{"type":"records.changed","timestamp":${JSON.stringify(plannedAt)},"data":{${head},"records":[${lines}]}}`
}
