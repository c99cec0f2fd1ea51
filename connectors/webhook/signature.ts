import { createHmac, timingSafeEqual } from 'node:crypto'
import { ConnectorError } from '../errors.ts'

/**
 * Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric scheme: HMAC-SHA256 over `id.timestamp.body` with the
 * bytes behind `whsec_`, base64, prefixed `v1,`.
 */
export interface Signer {
  /** `webhook-id`, `webhook-timestamp` (unix seconds, of `now` in epoch milliseconds) and `webhook-signature`. */
  headers(id: string, body: string | Buffer, now: number): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>
}

/** Throws `config`, without the secret in it, if it is not `whsec_` and base64. */
export function webhookSigner(secret: string): Signer {
  const key = decodeSecret(secret)
  return {
    headers(id, body, now) {
      const timestamp = String(Math.floor(now / 1000))
      return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${digest(key, id, timestamp, body)}` }
    },
  }
}

/** Whether one of the signatures is right and the timestamp is within five minutes of `now`, as the specification asks. */
export function verifySignature(secret: string, headers: Readonly<Record<string, unknown>>, body: Buffer, now: number): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return false
  if (!/^\d+$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > 300) return false
  const wanted = Buffer.from(`v1,${digest(decodeSecret(secret), id, timestamp, body)}`)
  return signatures.split(' ').some((text) => {
    const given = Buffer.from(text)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}

function digest(key: Buffer, id: string, timestamp: string, body: string | Buffer): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
}

function decodeSecret(secret: string): Buffer {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.trim()) ?? []
  const key = Buffer.from(text ?? '', 'base64')
  if (key.length === 0) throw new ConnectorError('config', 'the webhook secret must be whsec_ followed by base64 of 24 to 64 bytes')
  return key
}
