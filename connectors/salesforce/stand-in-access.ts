import { createVerify, randomUUID } from 'node:crypto'
import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { isObject, parseObject, textAt } from '../json-object.ts'
import { Refusal } from './stand-in-answers.ts'
import type { Settings } from './stand-in-settings.ts'

export const ORGANIZATION_ID = '00D000000000001EAA'
export const USER_ID = '005000000000001AAA'

/** Salesforce takes assertions that end in three minutes at most; a little more is let pass for clocks that differ. */
const LONGEST_ASSERTION_SECONDS = 300

interface Session {
  readonly until: number
  requests: number
}

/** The token endpoint and the sessions it gave out. */
export class Access {
  readonly #sessions = new Map<string, Session>()
  readonly #usedRefreshTokens = new Set<string>()
  #logIns = 0

  get logIns(): number {
    return this.#logIns
  }

  /** `POST /services/oauth2/token`. `base` is the address that the stand-in answers at: the instance. */
  token(request: StandInRequest, settings: Settings, now: number, base: string): StandInAnswer {
    const form = new URLSearchParams(request.body.toString('utf8'))
    const refused = settings.loginRefusal ?? this.#refusal(form, settings, now)
    if (refused !== null) return jsonAnswer(400, refused)
    const token = `00D000000000001!${randomUUID()}`
    this.#sessions.set(token, { until: now + settings.sessionSeconds * 1_000, requests: 0 })
    this.#logIns += 1
    const rotated = settings.rotateRefreshTokens && form.get('grant_type') === 'refresh_token'
    if (rotated) this.#usedRefreshTokens.add(form.get('refresh_token') ?? '')
    return jsonAnswer(200, {
      access_token: token,
      signature: 'c2lnbmF0dXJl',
      scope: 'api',
      instance_url: base,
      id: `${base}/id/${ORGANIZATION_ID}/${USER_ID}`,
      token_type: 'Bearer',
      issued_at: String(now),
      ...(rotated ? { refresh_token: `5Aep.${randomUUID()}` } : {}),
    })
  }

  /** Throws Refusal 401 for no, an unknown or an ended session. */
  check(request: StandInRequest, settings: Settings, now: number): void {
    const header = request.headers.authorization ?? ''
    const token = /^(?:Bearer|OAuth) (\S+)$/i.exec(header)?.[1]
    if (token === undefined) throw new Refusal(401, 'INVALID_AUTH_HEADER', 'INVALID_HEADER_TYPE')
    const session = this.#sessions.get(token)
    const spent = session !== undefined && settings.requestsPerSession !== null && session.requests >= settings.requestsPerSession
    if (session === undefined || settings.rejectSessions || spent || now >= session.until)
      throw new Refusal(401, 'INVALID_SESSION_ID', 'Session expired or invalid')
    session.requests += 1
  }

  reset(): void {
    this.#sessions.clear()
    this.#usedRefreshTokens.clear()
    this.#logIns = 0
  }

  #refusal(form: URLSearchParams, settings: Settings, now: number): { error: string; error_description: string } | null {
    const no = (error: string, words: string) => ({ error, error_description: words })
    const grant = form.get('grant_type')
    if (grant === 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refusedAssertion(form.get('assertion') ?? '', settings, now)
    if (!form.get('client_id')) return no('invalid_client_id', 'client identifier invalid')
    if (grant === 'client_credentials') return form.get('client_secret') ? null : no('invalid_client', 'invalid client credentials')
    if (grant !== 'refresh_token') return no('unsupported_grant_type', 'grant type not supported')
    const token = form.get('refresh_token')
    return token && !this.#usedRefreshTokens.has(token) ? null : no('invalid_grant', 'expired access/refresh token')
  }
}

function refusedAssertion(assertion: string, { jwtPublicKey }: Settings, now: number): { error: string; error_description: string } | null {
  const no = (words: string) => ({ error: 'invalid_grant', error_description: words })
  const [head = '', body = '', signature = ''] = assertion.split('.')
  const part = (text: string) => parseObject(Buffer.from(text, 'base64url').toString('utf8'))
  const claims = part(body)
  if (textAt(part(head), 'alg') !== 'RS256' || !isObject(claims)) return no('invalid assertion')
  if (!textAt(claims, 'iss')) return { error: 'invalid_client_id', error_description: 'client identifier invalid' }
  if (!textAt(claims, 'sub')) return no("user hasn't approved this consumer")
  if (!/^https:\/\/(login|test)\.salesforce\.com\/?$/.test(textAt(claims, 'aud') ?? '')) return no('audience is invalid')
  const left = Number(claims['exp']) - now / 1_000
  if (!(left > 0 && left <= LONGEST_ASSERTION_SECONDS)) return no('assertion is expired or lives too long')
  if (jwtPublicKey === null) return null
  const good = createVerify('RSA-SHA256').update(`${head}.${body}`).verify(jwtPublicKey, signature, 'base64url')
  return good ? null : no('invalid assertion')
}
