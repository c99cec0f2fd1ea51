import { createPrivateKey } from 'node:crypto'
import type { ConnectionOptions } from 'snowflake-sdk'
import Type, { type Static } from 'typebox'
import { bareAddress, credentialAddress } from '../address.ts'
import { checkedConfig } from '../checked.ts'
import { ConnectorError } from '../errors.ts'
import { quoteSchema } from './model-sql.ts'

const required = (description: string) => Type.String({ minLength: 1, description })

export const SnowflakeConfig = Type.Object(
  {
    account: required('Account identifier, as in <organisation>-<account>.'),
    username: required('User that the worker logs in as; a user of TYPE = SERVICE.'),
    database: required('Database that unqualified names of models are looked up in.'),
    schema: required('Schema that unqualified names of models are looked up in.'),
    warehouse: required('Virtual warehouse that runs the models.'),
    role: required('Role to use; it needs USAGE on the warehouse and SELECT on what the models read.'),
    privateKey: Type.Optional(required('Private key of the user’s key pair, PEM.')),
    privateKeyPassphrase: Type.Optional(required('Passphrase of an encrypted private key.')),
    token: Type.Optional(required('Programmatic access token.')),
    oauth: Type.Optional(
      Type.Object(
        { clientId: required('OAuth client.'), clientSecret: required('Its secret.'), tokenUrl: required('Where it gets its tokens.') },
        { additionalProperties: false, description: 'OAuth client credentials.' },
      ),
    ),
    accessUrl: Type.Optional(required('Base address, if it is not https://<account>.snowflakecomputing.com.')),
    plannerSchema: Type.Optional(required('Schema for comparing inside the warehouse.')),
  },
  { additionalProperties: false },
)

export const SNOWFLAKE_SECRETS = ['privateKey', 'privateKeyPassphrase', 'token', 'oauth.clientSecret']

/** Where to log in and as whom. */
export interface Target {
  /** For messages. */
  readonly address: string
  readonly account: string
  readonly username: string
  readonly role: string
  readonly warehouse: string
  readonly database: string
  /** As SQL has it; null: rows are not compared inside. */
  readonly plannerSchema: string | null
  readonly options: ConnectionOptions
}

/** Checks resolved configuration. Throws `config` that names the field, never its value. */
export function parseSnowflakeConfig(given: Record<string, unknown>): Target {
  const input = checkedConfig('snowflake', SnowflakeConfig, given)
  const plannerSchema = input.plannerSchema === undefined ? null : quoteSchema(input.plannerSchema)
  if (plannerSchema === null && input.plannerSchema !== undefined)
    throw new ConnectorError('config', 'snowflake config.plannerSchema must be schema or database.schema, odd names in double quotes')
  const { account, username, database, schema, warehouse, role } = input
  const accessUrl =
    input.accessUrl === undefined
      ? `https://${account.replaceAll('_', '-')}.snowflakecomputing.com`
      : bareAddress(credentialAddress(input.accessUrl, 'snowflake config.accessUrl'))
  return {
    ...{ address: new URL(accessUrl).host, account, username, role, warehouse, database, plannerSchema },
    options: { ...{ account, accessUrl, username, database, schema, warehouse, role }, ...credentials(input) },
  }
}

function credentials({ privateKey, privateKeyPassphrase, token, oauth }: Static<typeof SnowflakeConfig>): ConnectionOptions {
  const given = [privateKey, token, oauth].filter((way) => way !== undefined)
  if (given.length !== 1) throw new ConnectorError('config', 'snowflake config must hold one of privateKey, token and oauth')
  if (token !== undefined) return { authenticator: 'PROGRAMMATIC_ACCESS_TOKEN', token }
  if (oauth !== undefined) {
    const { clientId, clientSecret, tokenUrl } = oauth
    const token = credentialAddress(tokenUrl, 'snowflake config.oauth.tokenUrl')
    const client = { authenticator: 'OAUTH_CLIENT_CREDENTIALS', oauthClientId: clientId, oauthClientSecret: clientSecret }
    return Object.assign({ ...client, oauthTokenRequestUrl: token.href }, { oauthHttpAllowed: token.protocol === 'http:' })
  }
  const key = { privateKey: privateKey ?? '', ...(privateKeyPassphrase === undefined ? {} : { privateKeyPass: privateKeyPassphrase }) }
  assertPrivateKey(key.privateKey, key.privateKeyPass)
  return { authenticator: 'SNOWFLAKE_JWT', ...key }
}

/** The driver would say no more than that something is wrong with it. No cause: it could quote the key. */
function assertPrivateKey(key: string, passphrase: string | undefined): void {
  try {
    createPrivateKey({ key, format: 'pem', passphrase })
  } catch {
    const advice = 'it must be a PEM private key (PKCS#8), with its privateKeyPassphrase if it is encrypted'
    throw new ConnectorError('config', `snowflake config.privateKey cannot be read: ${advice}`)
  }
}
