import { ConnectorError } from './errors.ts'

/** Pure decisions about what a failed exchange means. Nothing here does I/O. */

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its host name is not known',
  EAI_AGAIN: 'its host name could not be looked up right now',
  ECONNREFUSED: 'the connection was refused',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  ECONNRESET: 'the connection was reset while it was being set up',
}

const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|EPROTO|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/

/**
 * What an error of the HTTP client means, told by one fact only: whether the request had been handed to an established
 * connection. Before that no byte can have left (`unreachable`, nothing applied); after it nobody knows (`in_doubt`), a kept-alive
 * connection that the server closed at the same moment included. A ConnectorError passes through as it is. `label` names the
 * destination, `what` the request; neither may hold row values or secrets.
 */
export function classifyFailure(cause: unknown, dispatched: boolean, label: string, what: string): ConnectorError {
  if (cause instanceof ConnectorError) return cause
  const code = errorCode(cause)
  const extra = code === null ? { cause } : { cause, code }
  const suffix = code === null ? '' : ` (${code})`
  if (dispatched) return new ConnectorError('in_doubt', `${label}: the answer to ${what} was lost${suffix}`, extra)
  if (code === 'UND_ERR_INVALID_ARG') {
    return new ConnectorError(
      'config',
      `${label}: ${what} cannot be put into an HTTP request; look for line breaks or other control characters in configured headers and secrets`,
      extra,
    )
  }
  const reason = UNREACHABLE[code ?? ''] ?? (TLS_CODE.test(code ?? '') ? 'TLS could not be set up' : 'no connection')
  return new ConnectorError('unreachable', `${label} cannot be reached: ${reason}${suffix}`, extra)
}

function errorCode(cause: unknown): string | null {
  if (!(cause instanceof Error)) return null
  if ('code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof AggregateError ? errorCode(cause.errors[0]) : null
}

/** Longest wait that a Retry-After header may ask for, milliseconds: a day. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/**
 * Milliseconds to wait by a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3), between 0 and a day; null where it
 * is absent or neither. `now` is epoch milliseconds. Decimal seconds, which the RFC does not allow, are understood.
 */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), MAX_RETRY_AFTER_MS)
  if (!/^[A-Za-z]{3,9},? /.test(text)) return null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.min(Math.max(at - now, 0), MAX_RETRY_AFTER_MS)
}
