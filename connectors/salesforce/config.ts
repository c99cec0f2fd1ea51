import { createPrivateKey, type KeyObject } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { accountHash, credentialAddress } from '../address.ts'
import { checkedConfig } from '../checked.ts'
import { ConnectorError } from '../errors.ts'
import { API_VERSION, BULK_FROM, DAILY_REQUEST_SHARE, LOST_REQUEST_SECONDS, OLDEST_VERSION, TIMEOUT_SECONDS } from './limits.ts'

export const Config = Type.Object(
  {
    loginUrl: Type.String({
      minLength: 1,
      description: 'https://login.salesforce.com, https://test.salesforce.com or the org’s My Domain; http:// on loopback for a stand-in',
    }),
    clientId: Type.String({ minLength: 1, description: 'consumer key of the app (external client app or connected app)' }),
    privateKey: Type.Optional(Type.String({ minLength: 1, description: 'PEM; with username: JWT bearer' })),
    username: Type.Optional(Type.String({ minLength: 1, description: 'user that the app acts as; with privateKey' })),
    clientSecret: Type.Optional(Type.String({ minLength: 1, description: 'alone: client credentials, loginUrl is then the My Domain' })),
    refreshToken: Type.Optional(
      Type.String({ minLength: 1, description: 'of an app that does not rotate them; with clientSecret if it has one' }),
    ),
    apiVersion: Type.Optional(
      Type.String({ pattern: '^\\d{2,3}\\.0$', description: `at least ${OLDEST_VERSION}.0; default ${API_VERSION}` }),
    ),
    dailyRequestShare: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        description: 'delivery waits at this share of the org’s daily API calls; default 0.8',
      }),
    ),
    bulkFrom: Type.Optional(Type.Integer({ minimum: 1, description: 'records from which Bulk API 2.0 is used; default 2000' })),
    timeoutSeconds: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 3600, description: 'a request is aborted after it; default 120' }),
    ),
    lostRequestSeconds: Type.Optional(
      Type.Number({ minimum: 0, maximum: 3600, description: 'a lost request may still take effect for so long; default 30' }),
    ),
  },
  { additionalProperties: false },
)

export const SECRETS = ['privateKey', 'clientSecret', 'refreshToken'] as const

/** How the connector gets a session. */
export type Grant =
  | { readonly kind: 'jwt'; readonly key: KeyObject; readonly username: string }
  | { readonly kind: 'client_credentials'; readonly clientSecret: string }
  | { readonly kind: 'refresh_token'; readonly refreshToken: string; readonly clientSecret: string | null }

export interface SalesforceConfig {
  readonly login: URL
  readonly clientId: string
  readonly grant: Grant
  readonly apiVersion: string
  readonly dailyRequestShare: number
  readonly bulkFrom: number
  readonly timeoutMs: number
  readonly lostRequestMs: number
  /** Same login address and same credentials: same text. A hash, no secret in it. */
  readonly account: string
}

/** Throws `config` unless exactly one way to log in is there, the address may carry credentials, and the key can be read. */
export function parseConfig(given: Record<string, unknown>): SalesforceConfig {
  const config = checkedConfig('salesforce', Config, given)
  const login = credentialAddress(config.loginUrl, 'salesforce: loginUrl')
  const apiVersion = config.apiVersion ?? API_VERSION
  if (Number(apiVersion) < OLDEST_VERSION)
    throw wrong(`apiVersion ${apiVersion} has no upsert of several records in one call; use ${OLDEST_VERSION}.0 or newer`)
  return {
    login,
    clientId: config.clientId,
    grant: parseGrant(config),
    apiVersion,
    dailyRequestShare: config.dailyRequestShare ?? DAILY_REQUEST_SHARE,
    bulkFrom: config.bulkFrom ?? BULK_FROM,
    timeoutMs: (config.timeoutSeconds ?? TIMEOUT_SECONDS) * 1_000,
    lostRequestMs: (config.lostRequestSeconds ?? LOST_REQUEST_SECONDS) * 1_000,
    account: accountHash(login, [config.clientId, config.privateKey, config.username, config.clientSecret, config.refreshToken]),
  }
}

const WAYS = 'privateKey and username (JWT bearer), clientSecret (client credentials), or refreshToken'

function parseGrant({ privateKey, username, clientSecret, refreshToken }: Static<typeof Config>): Grant {
  if (privateKey !== undefined || username !== undefined) {
    if (privateKey === undefined || username === undefined) throw wrong('config needs privateKey and username together (JWT bearer)')
    if (clientSecret !== undefined || refreshToken !== undefined) throw wrong(`config needs exactly one of ${WAYS}`)
    return { kind: 'jwt', key: readKey(privateKey), username }
  }
  if (refreshToken !== undefined) return { kind: 'refresh_token', refreshToken, clientSecret: clientSecret ?? null }
  if (clientSecret !== undefined) return { kind: 'client_credentials', clientSecret }
  throw wrong(`config needs exactly one of ${WAYS}`)
}

/** An environment variable often holds the key with `\n` written out. The parser's own error may quote key bytes, so it is no cause. */
function readKey(pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem.replaceAll('\\n', '\n'))
  } catch {
    throw wrong('privateKey is no private key in PEM form without a passphrase')
  }
  if (key.asymmetricKeyType !== 'rsa') throw wrong('privateKey must be an RSA key: Salesforce takes RS256 assertions only')
  return key
}

function wrong(message: string): ConnectorError {
  return new ConnectorError('config', `salesforce: ${message}`)
}
