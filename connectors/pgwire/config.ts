import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type pg from 'pg'
import Type, { type Static, type TObject } from 'typebox'
import { checkedConfig } from '../checked.ts'
import { ConnectorError } from '../errors.ts'
import type { Dialect } from './dialect.ts'

/** What every server's configuration has. */
export const connectionFields = {
  url: Type.String({ description: 'postgres://user:password@host:port/database, with sslmode and the like as parameters.' }),
  statementTimeoutSeconds: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 86_400, default: 1800, description: 'The model’s query is cancelled by the server after this.' }),
  ),
  caFile: Type.Optional(Type.String({ minLength: 1, description: 'PEM file of the authority that signed the server’s certificate.' })),
}

type Connection = Static<ReturnType<typeof Type.Object<typeof connectionFields>>>

/** Where to connect and how; everything is spelled out, so that no PG* variable of the process decides anything. */
export interface Target {
  readonly dialect: Dialect
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
export function parseConfig<T extends TObject<typeof connectionFields>>(
  dialect: Dialect,
  schema: T,
  input: Record<string, unknown>,
): { config: Static<T>; target: Target } {
  const config = checkedConfig(dialect.slug, schema, input)
  return { config, target: parseTarget(dialect, config) }
}

function parseTarget(dialect: Dialect, input: Connection): Target {
  const { url, user, password, database } = parseUrl(dialect, input.url)
  const option = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const host = option('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
  if (host === '') throw new ConnectorError('config', `${dialect.slug} config.url names no host`)
  const port = Number(url.port || (option('port') ?? dialect.port))
  const ssl = tlsOptions(dialect, option, input)
  const options = option('options')
  return {
    dialect,
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

function parseUrl({ slug, schemes, port }: Dialect, text: string): Credentials {
  const url = URL.canParse(text) ? new URL(text) : null
  const bad = `${slug} config.url must look like ${schemes[0] ?? ''}://user:password@host:${port}/database, with special characters in the password as %XX`
  if (url === null || !schemes.includes(url.protocol.slice(0, -1)) || url.hash !== '') throw new ConnectorError('config', bad)
  try {
    const user = decodeURIComponent(url.username) || (url.searchParams.get('user') ?? '')
    const password = decodeURIComponent(url.password) || (url.searchParams.get('password') ?? '')
    const database = decodeURIComponent(url.pathname.slice(1)) || user
    if (user === '') throw new ConnectorError('config', `${slug} config.url names no user`)
    return { url, user, password, database }
  } catch (error) {
    if (error instanceof ConnectorError) throw error
    // A cause would quote the piece of the URL that could not be decoded.
    throw new ConnectorError('config', bad)
  }
}

const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

/** `sslmode` means what it means to pg 8: anything but `disable` and `no-verify` checks the certificate and the host name. */
function tlsOptions({ slug }: Dialect, option: (name: string) => string | undefined, config: Connection): false | ConnectionOptions {
  const mode = option('sslmode')
  if (mode !== undefined && !SSL_MODES.some((known) => known === mode)) {
    throw new ConnectorError('config', `${slug} config.url: sslmode must be one of ${SSL_MODES.join(', ')}`)
  }
  const files = {
    ca: readPem(`${slug} config.caFile`, config.caFile ?? option('sslrootcert')),
    cert: readPem(`${slug} config.url’s sslcert`, option('sslcert')),
    key: readPem(`${slug} config.url’s sslkey`, option('sslkey')),
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
    throw new ConnectorError('config', `${field}: the file ${path} cannot be read`, { cause })
  }
  if (!pem.includes('-----BEGIN ')) throw new ConnectorError('config', `${field}: ${path} is not a PEM file`)
  return pem
}
