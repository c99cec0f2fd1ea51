import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { checkedConfig } from '../checked.ts'
import { ConnectorError } from '../errors.ts'

/** `headers` are sent with every request; the signature's and the body's own headers win over them. */
export const WebhookConfig = Type.Object(
  {
    url: Type.String({ description: 'Where the batches are posted to.' }),
    secret: Type.String({ description: 'Signing secret of Standard Webhooks: whsec_ and base64.' }),
    headers: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Further request headers.' })),
    batchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 100, description: 'Records in one request.' })),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 256, default: 8, description: 'Requests in flight per worker.' })),
    timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 600, default: 30, description: 'A request is aborted after this.' })),
    lostRequestSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 3600, default: 0, description: 'How long an aborted request may still take effect.' }),
    ),
    numbers: Type.Optional(Type.Enum(['json', 'text'], { default: 'json', description: 'text: for receivers that cut digits.' })),
    allowPrivateNetwork: Type.Optional(Type.Boolean({ default: false, description: 'Allow loopback and private addresses.' })),
  },
  { additionalProperties: false },
)
export type WebhookConfig = Static<typeof WebhookConfig>

/** They frame the message; a configured one could break it in two. */
const FRAMING = new Set(['connection', 'content-length', 'expect', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** Checks resolved configuration. Throws `config` that names the field, never its value. */
export function parseWebhookConfig(given: Record<string, unknown>): { readonly config: WebhookConfig; readonly url: URL } {
  const config = checkedConfig('webhook', WebhookConfig, given)
  const url = URL.canParse(config.url) ? new URL(config.url) : null
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new ConnectorError('config', 'webhook config.url must be an http:// or https:// address')
  if (url.username !== '' || url.password !== '') {
    throw new ConnectorError('config', 'webhook config.url must not hold a user name or password; put credentials into config.headers')
  }
  for (const name of Object.keys(config.headers ?? {})) {
    if (FRAMING.has(name.toLowerCase())) throw new ConnectorError('config', `webhook config.headers must not set "${name}"`)
  }
  return { config, url }
}

/** Same origin and same secret are one account. A hash; the secret cannot be read from it. */
export function webhookAccount(url: URL, secret: string): string {
  return createHash('sha256').update(`webhook\n${url.origin}\n${secret}`).digest('hex')
}
