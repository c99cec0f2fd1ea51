import { createSign } from 'node:crypto'
import { bareAddress, credentialAddress } from '../address.ts'
import { ConnectorError } from '../errors.ts'
import { openGate, type Http } from '../http.ts'
import { parseObject, textAt, type JsonObject } from '../json-object.ts'
import type { SalesforceConfig } from './config.ts'
import { ASSERTION_LIFE_SECONDS } from './limits.ts'

/** A session: the token, and the address of the org's own instance that takes it. */
export interface Session {
  readonly token: string
  readonly instanceUrl: string
}

export interface Sessions {
  /** The session in use, or a new one. Throws `auth` if there is none to be had, `unreachable` if not right now. */
  current(): Promise<Session>
  /** Another session than `used`, which was refused. Throws as `current`. */
  renewed(used: Session): Promise<Session>
}

/**
 * Sessions by the configured grant. Salesforce tells no end of a session (it is a setting of the org, moved by use), so a session
 * is used until it is refused. Log-ins are single flight for this destination, whoever asks, and not part of any batch: they
 * change nothing and no caller's cancel may end what others wait for.
 */
export function openSessions({ config, http }: { config: SalesforceConfig; http: Http }): Sessions {
  let held: Session | null = null
  let flight: Promise<Session> | null = null

  const logIn = async (): Promise<Session> => {
    const response = await http
      .request({
        method: 'POST',
        path: '/services/oauth2/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams(form(config, Date.now())).toString(),
        timeoutMs: config.timeoutMs,
        gate: openGate(new AbortController().signal),
        what: 'the log-in',
      })
      .catch((error: unknown) => {
        if (error instanceof ConnectorError && error.kind === 'in_doubt')
          throw new ConnectorError('unreachable', error.message, { cause: error })
        throw error
      })
    held = readSession(response.status, parseObject(response.text), config)
    return held
  }

  const single = (): Promise<Session> => {
    flight ??= logIn().finally(() => {
      flight = null
    })
    return flight
  }

  return {
    current: () => (held === null ? single() : Promise.resolve(held)),
    renewed(used) {
      return held !== null && held.token !== used.token ? Promise.resolve(held) : single()
    },
  }
}

function form({ clientId, grant, login }: SalesforceConfig, now: number): Record<string, string> {
  switch (grant.kind) {
    case 'jwt':
      return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertion(clientId, grant, login, now) }
    case 'client_credentials':
      return { grant_type: 'client_credentials', client_id: clientId, client_secret: grant.clientSecret }
    case 'refresh_token': {
      const secret = grant.clientSecret === null ? {} : { client_secret: grant.clientSecret }
      return { grant_type: 'refresh_token', client_id: clientId, refresh_token: grant.refreshToken, ...secret }
    }
  }
}

function assertion(clientId: string, grant: Extract<SalesforceConfig['grant'], { kind: 'jwt' }>, login: URL, now: number): string {
  const expiresAt = Math.floor(now / 1_000) + ASSERTION_LIFE_SECONDS
  const claims = { iss: clientId, sub: grant.username, aud: audience(login), exp: expiresAt }
  const text = [{ alg: 'RS256' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createSign('RSA-SHA256').update(text).sign(grant.key, 'base64url')}`
}

/** Production or sandbox: an org's own address (My Domain) is not what an assertion is made out to. */
function audience({ hostname }: URL): string {
  const test = hostname === 'test.salesforce.com' || /\.(sandbox|scratch)\.my\.salesforce\.com$/.test(hostname) || hostname.includes('--')
  return test ? 'https://test.salesforce.com' : 'https://login.salesforce.com'
}

function readSession(status: number, body: JsonObject | null, { grant, login }: SalesforceConfig): Session {
  const token = textAt(body, 'access_token')
  const instance = textAt(body, 'instance_url')
  if (status !== 200 || token === null) throw refusal(status, body, grant.kind)
  if (instance === null) throw new ConnectorError('destination', 'Salesforce logged us in without naming an instance; check loginUrl')
  const issued = textAt(body, 'refresh_token')
  if (grant.kind === 'refresh_token' && issued !== null && issued !== grant.refreshToken) {
    throw new ConnectorError(
      'auth',
      'This org rotates refresh tokens: each can be used once, and the next one would have to be stored, but secrets are not stored here. ' +
        'Log in by JWT bearer (privateKey and username) instead, or switch rotation off in the app',
      { code: 'refresh_token_rotation' },
    )
  }
  const url = credentialAddress(instance, 'salesforce: the instance that the log-in names')
  if (url.protocol === 'http:' && login.protocol === 'https:')
    throw new ConnectorError('config', 'salesforce: the log-in names an instance without https://; check loginUrl')
  return { token, instanceUrl: bareAddress(url) }
}

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /hasn't approved this consumer/i,
    'pre-authorise the app for this user (its policies → Permitted Users: admin-approved, then add the user’s profile or permission set)',
  ],
  [/no client credentials user/i, 'choose a run-as user under the app’s client credentials flow'],
  [/not supported on this domain/i, 'client credentials work at the org’s My Domain only: set loginUrl to https://….my.salesforce.com'],
  [
    /audience|assertion|jwt/i,
    'check that clientId is the consumer key, that its certificate belongs to privateKey, and that loginUrl is production or sandbox as the org is',
  ],
  [
    /expired access\/refresh token|expired authorization|inactive user/i,
    'the connection was revoked or the user is inactive: authorise the app again, or use JWT bearer',
  ],
  [/ip restricted|ip address/i, 'allow this network in the app’s or profile’s IP ranges'],
]

function refusal(status: number, body: JsonObject | null, grant: string): ConnectorError {
  const error = textAt(body, 'error')
  const code = error !== null && /^[a-z_]{1,40}$/.test(error) ? error : String(status)
  // A page instead of JSON comes from something in between.
  if (status >= 500 || status < 400 || body === null)
    return new ConnectorError('unreachable', `Salesforce could not log us in (${status})`, { code })
  const words = textAt(body, 'error_description') ?? ''
  const known = ADVICE.find(([sign]) => sign.test(words))?.[1]
  const byCode = /client/.test(code) ? 'clientId or clientSecret is wrong; copy both from the app' : 'check the app and the user it acts as'
  const said = `Salesforce refused the log-in by ${grant} (${status} ${code})`
  if (code === 'login_rate_exceeded' || /login rate/i.test(words)) return new ConnectorError('unreachable', said, { code })
  return new ConnectorError('auth', `${said}: ${known ?? byCode}`, { code })
}
