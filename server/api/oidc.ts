import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import Type from 'typebox'
import Value from 'typebox/value'
import { isLoopback } from '../../connectors/address.ts'
import { Problem } from './problem.ts'
import { SCOPES, type Principal } from './scope.ts'

const PATIENCE_MS = 5_000
const CLOCK_SKEW_S = 30
/** Public keys only: with `none` or an HMAC over the public key anybody could sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

const Discovery = Type.Object({ issuer: Type.String(), jwks_uri: Type.String() })

/** Accepts the tokens that an OpenID Connect issuer signed for our audience; their `scope` claim says what they may do. */
export class OidcTokens {
  readonly #issuer: string
  readonly #audience: string
  #keys: Promise<JWTVerifyGetKey> | null = null

  constructor({ issuer, audience }: { readonly issuer: string; readonly audience: string }) {
    this.#issuer = issuer
    this.#audience = audience
  }

  /**
   * Null: no token of this issuer for us, or it has expired. Keys are fetched with the first token and again for an unknown key id, at
   * most every 30 s. Throws Problem `issuer_away` (503) while they cannot be fetched.
   */
  async find(token: string): Promise<Principal | null> {
    if (token.split('.').length !== 3) return null
    try {
      const options = { issuer: this.#issuer, audience: this.#audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_SKEW_S }
      const { payload } = await jwtVerify(token, await this.#jwks(), { ...options, requiredClaims: ['exp'] })
      return { name: payload.sub ?? 'unnamed', scopes: new Set(scopesOf(payload)) }
    } catch (error) {
      if (isAway(error)) throw away(this.#issuer, error)
      if (error instanceof errors.JOSEError) return null
      throw error
    }
  }

  /** Discovery is asked once; a failure is asked again with the next token. */
  #jwks(): Promise<JWTVerifyGetKey> {
    this.#keys ??= this.#discover().catch((error: unknown) => {
      this.#keys = null
      throw error
    })
    return this.#keys
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const response = await fetch(`${this.#issuer}/.well-known/openid-configuration`, {
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).catch((cause: unknown) => Promise.reject(away(this.#issuer, cause)))
    const found: unknown = response.ok ? await response.json().catch(() => null) : null
    if (!Value.Check(Discovery, found) || !isSafe(found.jwks_uri) || found.issuer.replace(/\/+$/, '') !== this.#issuer)
      throw away(this.#issuer, new Error(`its discovery document cannot be used (${response.status})`))
    return createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: PATIENCE_MS })
  }
}

/** Who can change the keys on their way can sign. */
function isSafe(address: string): boolean {
  const url = URL.canParse(address) ? new URL(address) : null
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
}

/** RFC 8693, 4.2: one string, words apart. Words that mean nothing here are somebody else's. */
function scopesOf({ scope }: JWTPayload): (typeof SCOPES)[number][] {
  const words = typeof scope === 'string' ? scope.split(' ') : []
  return SCOPES.filter((known) => words.includes(known))
}

function isAway(error: unknown): boolean {
  return (
    error instanceof errors.JWKSTimeout ||
    error instanceof TypeError ||
    (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC')
  )
}

function away(issuer: string, cause: unknown): Problem {
  return new Problem({
    status: 503,
    code: 'issuer_away',
    detail: `the keys of ${issuer} (TAILRACE_OIDC_ISSUER) cannot be fetched; try again`,
    cause,
  })
}
