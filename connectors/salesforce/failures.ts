import { ConnectorError } from '../errors.ts'
import { retryAfterMs } from '../http-errors.ts'
import { answeredWith, errorsOf } from './envelope.ts'
import { CONCURRENT_WAIT_MS, DAILY_WAIT_MS } from './limits.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** The parsed text, undefined where it is no JSON. */
  readonly body: unknown
}

/** Statuses that refuse what was sent, not how: the caller knows whether that is one record or a batch to split. */
const REFUSALS: ReadonlySet<number> = new Set([300, 400, 404, 409, 413, 414])

/** Codes by which Salesforce says that what a call names is not there: a mapping, an object or a version that is wrong. */
const WRONG_NAMES = /^(INVALID_FIELD|INVALID_FIELD_FOR_INSERT_UPDATE|INVALID_TYPE)$/

/**
 * What an answer means that is neither a result nor a refusal of the records; null for those. `writes`: whether the call may have
 * changed anything. No words of Salesforce go into the message, because they may repeat values, only its codes.
 */
export function failureOf(
  { status, headers, text, body }: Answer,
  { what, writes }: { what: string; writes: boolean },
): ConnectorError | null {
  if (status >= 200 && status < 300) return body !== undefined || text.trim() === '' ? null : strangePage(what, writes)
  const [error] = errorsOf(body)
  const code = error?.code ?? String(status)
  const said = answeredWith(status, error, what)
  const fail = (kind: ConnectorError['kind'], message: string, retryAfter?: number): ConnectorError =>
    new ConnectorError(kind, message, retryAfter === undefined ? { code } : { code, retryAfterMs: retryAfter })

  if (code === 'REQUEST_LIMIT_EXCEEDED') {
    return /concurrent/i.test(error?.words ?? '')
      ? fail('throttled', `${said}: too many long-running calls at once`, CONCURRENT_WAIT_MS)
      : fail('throttled', `${said}: the org's daily API calls are used up`, DAILY_WAIT_MS)
  }
  if (status === 429) return fail('throttled', said, retryAfterMs(headers['retry-after'], Date.now()) ?? CONCURRENT_WAIT_MS)
  if (status === 401) {
    return fail(
      'auth',
      `${said}, right after a new log-in: the session is not accepted. Look at the app's session policy, at its IP ranges and at the user's login history`,
    )
  }
  if (status === 403)
    return fail(
      'auth',
      `${said}: the user lacks a permission, or the org has no API access. Give its profile "API Enabled" and access to object and fields`,
    )
  if (status === 410) return fail('config', `${said}: this API version is retired; leave apiVersion out, or set a newer one`)
  const lost = (): ConnectorError => (writes ? fail('in_doubt', `${said}; it may have been applied`) : fail('unreachable', said))
  if (status >= 500) return lost()
  if (code === STORAGE_FULL) return storageFull(said)
  if (WRONG_NAMES.test(code) && !/foreign key external id/i.test(error?.words ?? ''))
    return fail(
      'config',
      `${said}: object or fields are not there, or not visible to this user; look at the mapping and the field-level security`,
    )
  if (status === 404 && error === undefined) return fail('config', `${said}: nothing is there; check loginUrl and apiVersion`)
  // A page instead of JSON comes from something in between, not from Salesforce; only about the size may any server have its word.
  if (body === undefined && (status === 300 || status === 400 || status === 409)) return lost()
  if (REFUSALS.has(status)) return null
  return fail('destination', `${said}, which nothing in its documentation explains; check loginUrl`)
}

/** A 2xx of something in between, which may have passed the call on or not. */
export function strangePage(what: string, writes: boolean): ConnectorError {
  const said = `Salesforce answered ${what} with something that is no JSON`
  return writes ? new ConnectorError('in_doubt', `${said}; it may have been applied`) : new ConnectorError('unreachable', said)
}

export const STORAGE_FULL = 'STORAGE_LIMIT_EXCEEDED'

export function storageFull(said: string): ConnectorError {
  return new ConnectorError('destination', `${said}: the org's data storage is full. Free or buy storage, then run again`, {
    code: STORAGE_FULL,
  })
}
