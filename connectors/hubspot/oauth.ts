import { ConnectorError } from '../errors.ts'
import { openGate, type Http } from '../http.ts'
import { retryAfterMs } from '../http-errors.ts'
import { parseObject, textAt } from '../json-object.ts'
import { SECONDLY_WAIT_MS, TOKEN_MARGIN_MS } from './limits.ts'

/** Where the bearer token comes from. */
export interface Tokens {
  /** A token that is good for a while yet. Throws `auth` if there is none to be had, `unreachable` or `throttled` if not right now. */
  current(): Promise<string>
  /** A token other than `used`, which was refused; null if there can be none. Throws as `current`. */
  renewed(used: string): Promise<string | null>
}

export function fixedToken(token: string): Tokens {
  return { current: () => Promise.resolve(token), renewed: () => Promise.resolve(null) }
}

export interface OauthCredentials {
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
}

/**
 * Tokens by refresh: renewed by the clock two minutes before their end (1800 s), because HubSpot asks not to take the 401 as the
 * signal. Refreshes are single flight for this destination. Not part of the account's budget: HubSpot does not count them.
 */
export function oauthTokens({ credentials, http, timeoutMs }: { credentials: OauthCredentials; http: Http; timeoutMs: number }): Tokens {
  let held: { token: string; until: number } | null = null
  let refreshToken = credentials.refreshToken
  let flight: Promise<string> | null = null

  const refresh = async (): Promise<string> => {
    const form = {
      grant_type: 'refresh_token',
      client_id: credentials.clientId,
      client_secret: credentials.clientSecret,
      refresh_token: refreshToken,
    }
    const startedAt = performance.now()
    const response = await http
      .request({
        method: 'POST',
        path: '/oauth/v1/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams(form).toString(),
        timeoutMs,
        // Shared by several callers, so no single caller's cancel may end it.
        gate: openGate(new AbortController().signal),
        what: 'the refresh of the access token',
      })
      .catch((error: unknown) => {
        if (error instanceof ConnectorError && error.kind === 'in_doubt')
          throw new ConnectorError('unreachable', error.message, { cause: error })
        throw error
      })
    const body = parseObject(response.text)
    const token = textAt(body, 'access_token')
    if (response.status !== 200 || token === null)
      throw refreshFailure(response.status, textAt(body, 'status') ?? textAt(body, 'error'), response.headers)
    const seconds = Number(body?.['expires_in'])
    const lifeMs = (seconds > 0 ? seconds : 1_800) * 1_000
    // A life shorter than twice the margin would otherwise be refreshed before every call.
    held = { token, until: startedAt + lifeMs - Math.min(TOKEN_MARGIN_MS, lifeMs / 2) }
    refreshToken = textAt(body, 'refresh_token') ?? refreshToken
    return token
  }

  const single = (): Promise<string> => {
    flight ??= refresh().finally(() => {
      flight = null
    })
    return flight
  }

  return {
    current: () => (held !== null && performance.now() < held.until ? Promise.resolve(held.token) : single()),
    renewed(used) {
      return held !== null && held.token !== used ? Promise.resolve(held.token) : single()
    },
  }
}

function refreshFailure(status: number, reason: string | null, headers: Readonly<Record<string, string>>): ConnectorError {
  const code = reason !== null && /^[A-Za-z_]{1,40}$/.test(reason) ? reason : String(status)
  const said = `HubSpot refused to renew the access token (${status} ${code})`
  if (status === 429)
    return new ConnectorError('throttled', said, {
      code,
      retryAfterMs: retryAfterMs(headers['retry-after'], Date.now()) ?? SECONDLY_WAIT_MS,
    })
  if (status >= 500 || status < 400)
    return new ConnectorError('unreachable', `HubSpot could not renew the access token (${status})`, { code })
  if (/CLIENT/i.test(code))
    return new ConnectorError('auth', `${said}: clientId or clientSecret is wrong; copy both from the app's settings`, { code })
  return new ConnectorError(
    'auth',
    `${said}: the connection was revoked or belongs to another app; connect the app again and store the new refreshToken`,
    { code },
  )
}
