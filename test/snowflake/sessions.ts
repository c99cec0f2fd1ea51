import { createHash, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import type { Session } from './dialect.ts'

export interface LiveSession extends Session {
  readonly id: number
  token: string
  readonly masterToken: string
  /** Its token has to be renewed before anything else. */
  expired: boolean
  readonly parameters: Map<string, string>
}

export interface LoginRequest {
  readonly accountName: string
  readonly loginName: string
  readonly authenticator: string
  readonly token: string
  readonly warehouse: string | null
  readonly database: string
  readonly schema: string
  readonly role: string
  readonly parameters: Readonly<Record<string, string>>
}

export type Refusal = { readonly code: string; readonly message: string }

/** What the one user of the account may come in with. The key pair is made anew for each stand-in. */
export function makeCredentials(passphrase: string) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase },
  })
  return {
    ...{ publicKey, privateKey, passphrase },
    ...{
      token: `pat-${randomBytes(24).toString('hex')}`,
      clientId: 'tailrace-client',
      clientSecret: `secret-${randomBytes(24).toString('hex')}`,
    },
  }
}

export type Credentials = ReturnType<typeof makeCredentials>

export class Sessions {
  readonly #credentials: Credentials
  readonly #names: { account: string; user: string; role: string; warehouse: string }
  readonly #live = new Map<number, LiveSession>()
  readonly #accessTokens = new Set<string>()
  logins = 0

  constructor(credentials: Credentials, names: { account: string; user: string; role: string; warehouse: string }) {
    this.#credentials = credentials
    this.#names = names
  }

  get open(): number {
    return this.#live.size
  }

  issueAccessToken(clientId: string, clientSecret: string): string | null {
    if (clientId !== this.#credentials.clientId || clientSecret !== this.#credentials.clientSecret) return null
    const token = `oauth-${randomBytes(24).toString('hex')}`
    this.#accessTokens.add(token)
    return token
  }

  login(request: LoginRequest): LiveSession | Refusal {
    const refusal = this.#refusal(request)
    if (refusal !== null) return refusal
    this.logins++
    const { warehouse, role } = this.#names
    const session: LiveSession = {
      ...{ id: this.logins, user: request.loginName.toUpperCase(), role, database: request.database, schema: request.schema },
      ...{ token: secret(), masterToken: secret(), expired: false, parameters: new Map(Object.entries(request.parameters)) },
      temporary: new Map(),
      // A warehouse that is not there is no reason to refuse a login.
      warehouse: request.warehouse?.toUpperCase() === warehouse ? warehouse : null,
    }
    this.#live.set(session.id, session)
    return session
  }

  /** The session of an Authorization header. */
  find(authorization: string | undefined): LiveSession | Refusal {
    const [, token] = /^Snowflake Token="(.+)"$/.exec(authorization ?? '') ?? []
    const session = [...this.#live.values()].find((live) => live.token === token)
    if (session === undefined) return { code: '390104', message: 'Session no longer exists. New login required to access the service.' }
    if (session.expired) return { code: '390112', message: 'Your session has expired. Please login again.' }
    return session
  }

  renew(authorization: string | undefined): LiveSession | Refusal {
    const [, token] = /^Snowflake Token="(.+)"$/.exec(authorization ?? '') ?? []
    const session = [...this.#live.values()].find((live) => live.masterToken === token)
    if (session === undefined) return { code: '390114', message: 'Authentication token has expired. The user must authenticate again.' }
    session.token = secret()
    session.expired = false
    return session
  }

  end(session: LiveSession): void {
    this.#live.delete(session.id)
  }

  endAll(): void {
    this.#live.clear()
  }

  #refusal({ accountName, loginName, authenticator, token, role }: LoginRequest): Refusal | null {
    const { account, user } = this.#names
    const known = accountName.toUpperCase() === account.toUpperCase() && loginName.toUpperCase() === user.toUpperCase()
    if (!known) return { code: '390100', message: 'Incorrect username or password was specified.' }
    if (authenticator === 'SNOWFLAKE_JWT' && !this.#isOurs(token)) return { code: '390144', message: 'JWT token is invalid. [stand-in]' }
    if (authenticator === 'PROGRAMMATIC_ACCESS_TOKEN' && token !== this.#credentials.token)
      return { code: '394400', message: 'Programmatic access token is invalid.' }
    if (authenticator === 'OAUTH' && !this.#accessTokens.has(token))
      return { code: '390303', message: 'Invalid OAuth access token. [stand-in]' }
    if (!['SNOWFLAKE_JWT', 'PROGRAMMATIC_ACCESS_TOKEN', 'OAUTH'].includes(authenticator))
      return { code: '390100', message: 'Incorrect username or password was specified.' }
    if (role.toUpperCase() === this.#names.role) return null
    return { code: '390189', message: `Role '${role}' specified in the connect string does not exist or not authorized.` }
  }

  /** Signature, issuer with the key's fingerprint, subject. */
  #isOurs(jwt: string): boolean {
    const [header = '', payload = '', signature = ''] = jwt.split('.')
    const key = createPublicKey({ key: this.#credentials.publicKey, type: 'spki', format: 'der' })
    if (!verify('RSA-SHA256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))) return false
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const subject = `${this.#names.account}.${this.#names.user}`.toUpperCase()
    const fingerprint = createHash('sha256').update(this.#credentials.publicKey).digest('base64')
    const claim = (name: string): unknown => Object.entries(claims ?? {}).find(([key]) => key === name)?.[1]
    return claim('sub') === subject && claim('iss') === `${subject}.SHA256:${fingerprint}`
  }
}

function secret(): string {
  return `ver:1-hint:${randomBytes(24).toString('hex')}`
}
