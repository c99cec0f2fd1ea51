import { ConnectorError } from '../errors.ts'
import { categoryOf } from './envelope.ts'
import { objectAt, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'

/** Statuses that refuse what was sent, not how: the caller knows whether that is one record or a batch to split. */
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 409, 413, 422])

/**
 * What an answer means that is neither a result nor a refusal of the records; null for those. `writes` says whether the call may
 * have changed anything: a lost write is in doubt, a lost read is simply asked again. 401, 423, 429 and 477 are dealt with before.
 * No words of HubSpot go into the message, because they may repeat values, only its codes.
 */
export function failureOf({
  status,
  body,
  foreign = false,
  what,
  writes,
}: {
  status: number
  body: JsonObject | null
  /** There is a body, and it is no JSON object. */
  foreign?: boolean
  what: string
  writes: boolean
}): ConnectorError | null {
  const category = categoryOf(body)
  const code = category ?? String(status)
  const said = `HubSpot answered ${status}${category === null ? '' : ` ${category}`} to ${what}`
  if (status === 401)
    return new ConnectorError(
      'auth',
      `${said}: the access token is not valid. Create a new one in the private app's settings, or connect the app again`,
      { code },
    )
  if (status === 403) return new ConnectorError('auth', `${said}: ${missingScopes(body)}`, { code })
  if (status >= 200 && status < 300) {
    if (status === 204 || body !== null) return null
    return lost(`${said} with something that is no JSON`, code, writes)
  }
  if (status >= 500) return lost(said, code, writes)
  if (/unable to infer object type/i.test(textAt(body, 'message') ?? ''))
    return new ConnectorError('config', `${said}: it does not know this object`, { code })
  if (status === 404 && category !== 'OBJECT_NOT_FOUND')
    return new ConnectorError('config', `${said}: this object or path is not there; check object and baseUrl`, { code })
  // 413 is any server's word about the size; of the others a page instead of JSON comes from something in between, not from HubSpot.
  if (foreign && status !== 413 && REFUSALS.has(status)) return lost(`${said} with something that is no JSON`, code, writes)
  if (REFUSALS.has(status)) return null
  return new ConnectorError('destination', `${said}, which nothing in its documentation explains; check baseUrl`, { code })
}

function lost(message: string, code: string, writes: boolean): ConnectorError {
  return writes
    ? new ConnectorError('in_doubt', `${message}; it may have been applied`, { code })
    : new ConnectorError('unreachable', message, { code })
}

function missingScopes(body: JsonObject | null): string {
  const contexts = [objectAt(body, 'context'), ...objectsAt(body, 'errors').map((error) => objectAt(error, 'context'))]
  const scopes = new Set(
    contexts.flatMap((context) => textsAt(context, 'requiredScopes')).filter((scope) => /^[a-z0-9_.-]{1,80}$/i.test(scope)),
  )
  if (scopes.size === 0)
    return 'the app lacks a permission. Add the scopes for reading and writing this object, and for its schema, to the app'
  return `the app lacks MISSING_SCOPES: ${[...scopes].join(', ')} (HubSpot sometimes names the wrong one). Add the scope to the app and install it again`
}
