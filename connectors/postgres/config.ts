import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type pg from 'pg'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { ConnectorError } from '../errors.ts'

export const PostgresConfig = Type.Object(
  {
    url: Type.String({ description: 'postgres://user:password@host:port/database, with sslmode and the like as parameters.' }),
    statementTimeoutSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 86_400, default: 1800, description: 'The model’s query is cancelled by the server after this.' }),
    ),
    caFile: Type.Optional(Type.String({ minLength: 1, description: 'PEM file of the authority that signed the server’s certificate.' })),
    plannerSchema: Type.Optional(Type.String({ minLength: 1, description: 'Schema for comparing inside the warehouse.' })),
  },
  { additionalProperties: false },
)

/** Where to connect and how; everything is spelled out, so that no PG* variable of the process decides anything. */
export interface Target {
  /** `host:port`, for messages. */
  readonly address: string
  readonly user: string
  readonly database: string
  readonly encrypted: boolean
  readonly statementTimeoutSeconds: number
  readonly client: pg.ClientConfig
}

/** How long a connection may take to be set up, milliseconds. */
const CONNECT_TIMEOUT_MS = 15_000

/** Checks resolved configuration. Throws `config` that names the field, never its value. */
export function parsePostgresConfig(input: Record<string, unknown>): Target {
  if (!Value.Check(PostgresConfig, input)) {
    const first = Value.Errors(PostgresConfig, input)[0]
    throw new ConnectorError('config', `postgres config${first?.instancePath.replaceAll('/', '.') ?? ''}: ${first?.message ?? 'not valid'}`)
  }
  const { url, user, password, database } = parseUrl(input.url)
  const option = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const host = option('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
  if (host === '') throw new ConnectorError('config', 'postgres config.url names no host')
  const port = Number(url.port || (option('port') ?? 5432))
  const ssl = tlsOptions(option, input)
  const options = option('options')
  return {
    address: host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`,
    user,
    database,
    encrypted: ssl !== false,
    statementTimeoutSeconds: input.statementTimeoutSeconds ?? 1800,
    client: {
      host,
      port,
      user,
      database,
      // As a function even when there is none: pg would look into PGPASSWORD and ~/.pgpass instead.
      password: () => password,
      ssl,
      sslnegotiation: option('sslnegotiation') === 'direct' ? 'direct' : 'postgres',
      enableChannelBinding: /^(prefer|require)$/.test(option('channel_binding') ?? ''),
      application_name: option('application_name') ?? 'tailrace',
      ...(options === undefined ? {} : { options }),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      // A server or a firewall that vanished silently is found by the kernel, even while a sort keeps the line quiet.
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
    },
  }
}

interface Credentials {
  readonly url: URL
  readonly user: string
  readonly password: string
  readonly database: string
}

function parseUrl(text: string): Credentials {
  const url = URL.canParse(text) ? new URL(text) : null
  const bad =
    'postgres config.url must look like postgres://user:password@host:5432/database, with special characters in the password as %XX'
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hash !== '') throw new ConnectorError('config', bad)
  try {
    const user = decodeURIComponent(url.username) || (url.searchParams.get('user') ?? '')
    const password = decodeURIComponent(url.password) || (url.searchParams.get('password') ?? '')
    const database = decodeURIComponent(url.pathname.slice(1)) || user
    if (user === '') throw new ConnectorError('config', 'postgres config.url names no user')
    return { url, user, password, database }
  } catch (error) {
    if (error instanceof ConnectorError) throw error
    // A cause would quote the piece of the URL that could not be decoded.
    throw new ConnectorError('config', bad)
  }
}

const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

/** `sslmode` means what it means to pg 8: anything but `disable` and `no-verify` checks the certificate and the host name. */
function tlsOptions(option: (name: string) => string | undefined, config: Static<typeof PostgresConfig>): false | ConnectionOptions {
  const mode = option('sslmode')
  if (mode !== undefined && !SSL_MODES.some((known) => known === mode)) {
    throw new ConnectorError('config', `postgres config.url: sslmode must be one of ${SSL_MODES.join(', ')}`)
  }
  const files = {
    ca: readPem('caFile', config.caFile ?? option('sslrootcert')),
    cert: readPem('url’s sslcert', option('sslcert')),
    key: readPem('url’s sslkey', option('sslkey')),
  }
  const given = Object.fromEntries(Object.entries(files).filter(([, pem]) => pem !== undefined))
  const asked = mode !== undefined || /^(true|1)$/.test(option('ssl') ?? '') || option('sslnegotiation') === 'direct'
  if (mode === 'disable' || (!asked && Object.keys(given).length === 0)) return false
  return { ...given, rejectUnauthorized: mode !== 'no-verify' }
}

function readPem(field: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConnectorError('config', `postgres config.${field}: the file ${path} cannot be read`, { cause })
  }
  if (!pem.includes('-----BEGIN ')) throw new ConnectorError('config', `postgres config.${field}: ${path} is not a PEM file`)
  return pem
}
