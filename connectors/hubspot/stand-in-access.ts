import { randomUUID } from 'node:crypto'
import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { Refusal } from './stand-in-answers.ts'
import type { Settings } from './stand-in-settings.ts'

const REFRESH_WORDS: Readonly<Record<string, readonly [error: string, words: string]>> = {
  BAD_REFRESH_TOKEN: ['invalid_grant', 'refresh token is invalid, expired or revoked'],
  BAD_HUB: ['access_denied', 'the account is not valid'],
  BAD_CLIENT_ID: ['invalid_client', 'client id is not valid'],
  BAD_CLIENT_SECRET: ['invalid_client', 'client secret is not valid'],
}

/** Access tokens: private apps' as they come, OAuth's from the token endpoint with an end. */
export class Access {
  readonly #issued = new Map<string, number>()
  #refreshes = 0

  get refreshes(): number {
    return this.#refreshes
  }

  /** `POST /oauth/v1/token` with a refresh token; every refresh token but an empty one is good. */
  token(request: StandInRequest, settings: Settings, now: number): StandInAnswer {
    const form = new URLSearchParams(request.body.toString('utf8'))
    const failure = settings.refreshFailure ?? failureOf(form)
    if (failure !== null) {
      const [error, words] = REFRESH_WORDS[failure] ?? ['invalid_grant', 'not valid']
      return jsonAnswer(400, { error, error_description: words, status: failure, message: words, correlationId: randomUUID() })
    }
    const token = `oauth-${randomUUID()}`
    this.#issued.set(token, now + settings.tokenLifeSeconds * 1_000)
    this.#refreshes += 1
    return jsonAnswer(200, {
      token_type: 'bearer',
      access_token: token,
      refresh_token: form.get('refresh_token'),
      expires_in: settings.tokenLifeSeconds,
    })
  }

  /** Whether the request's token is one of OAuth. Throws Refusal 401 for no, a wrong or an expired token. */
  check(request: StandInRequest, settings: Settings, now: number): { readonly oauth: boolean } {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined)
      throw new Refusal(401, 'INVALID_AUTHENTICATION', 'Authentication credentials not found. This API supports OAuth 2.0 authentication')
    const end = this.#issued.get(token)
    if (end !== undefined) {
      if (now >= end) throw new Refusal(401, 'EXPIRED_AUTHENTICATION', 'The OAuth token used to make this call expired.')
      return { oauth: true }
    }
    const known = settings.acceptedTokens === null ? !token.startsWith('oauth-') : settings.acceptedTokens.includes(token)
    if (!known) throw new Refusal(401, 'INVALID_AUTHENTICATION', 'Authentication credentials not found or not valid.')
    return { oauth: false }
  }

  /** Ends every token that was issued so far. */
  reset(): void {
    this.#issued.clear()
    this.#refreshes = 0
  }
}

/** Throws Refusal 403 if the token lacks the scope. */
export function requireScope(scope: string, settings: Settings): void {
  if (!settings.missingScopes.includes(scope)) return
  const message = "This app hasn't been granted all required scopes to make this call."
  throw new Refusal(403, 'MISSING_SCOPES', message, {
    errors: [{ message: 'One or more of the following scopes are required.', context: { requiredScopes: [scope] } }],
  })
}

function failureOf(form: URLSearchParams): string | null {
  if (form.get('grant_type') !== 'refresh_token' || !form.get('refresh_token')) return 'BAD_REFRESH_TOKEN'
  if (!form.get('client_id')) return 'BAD_CLIENT_ID'
  return form.get('client_secret') ? null : 'BAD_CLIENT_SECRET'
}
