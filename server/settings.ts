import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig'
import { parseFailpoints, type Strike } from '../activities/failpoints.ts'
import { CliError, EXIT } from './cli/exit.ts'
import { EnvironmentReader, type Environment } from './environment.ts'
import { isLoopback } from '../connectors/address.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** Fits both `Connection.connect` of the client and `NativeConnection.connect` of the worker. */
export interface TemporalSettings {
  readonly connection: ClientConnectConfig['connectionOptions'] & { readonly address: string }
  readonly namespace: string
  /** The connection by what its files say now (API key, certificates); throws SettingsError. Null: it names no file. */
  readonly readAgain: (() => TemporalSettings['connection']) | null
}

/** Every name of the contract's section 2. null: unset. */
export interface Settings {
  readonly databaseUrl: string | null
  readonly temporal: TemporalSettings | null
  /** Base of links to Temporal's web UI, without a trailing slash. */
  readonly temporalUiUrl: string | null
  /** Path of a Temporal CLI for the embedded dev server. */
  readonly temporalBinary: string | null
  readonly taskQueue: string
  readonly host: string
  /** 0: any free port; the same for the other ports. */
  readonly port: number
  readonly apiToken: string | null
  readonly apiTokensFile: string | null
  readonly oidc: { readonly issuer: string; readonly audience: string } | null
  readonly metricsHost: string
  readonly metricsPort: number
  readonly temporalMetricsPort: number | null
  readonly secretsDir: string
  /** API base that the CLI talks to, without a trailing slash. */
  readonly url: string
  readonly retentionDays: number
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly otlpEndpoint: string | null
  /** For tests only; not null: armed. */
  readonly failpoints: readonly Strike[] | null
}

/** What api, worker and migrate cannot do without. */
export interface ServiceSettings extends Settings {
  readonly databaseUrl: string
  readonly temporal: TemporalSettings
}

/** All that is wrong with the environment, by name, without values. */
export class SettingsError extends CliError {
  override readonly name = 'SettingsError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(EXIT.configuration, ['The environment is not right:', ...problems.map((problem) => `  ${problem}`)].join('\n'))
    this.problems = problems
  }
}

/** For `api`. Refuses a listener that others can reach and that asks nobody who they are. */
export function apiSettings(env: Environment): ServiceSettings {
  const reader = new EnvironmentReader(env)
  const settings = read(reader, env)
  const open = settings.apiToken === null && settings.apiTokensFile === null && settings.oidc === null
  if (open && !isLoopback(settings.host)) {
    reader.wrong('TAILRACE_HOST', 'is not a loopback address: set TAILRACE_API_TOKEN, TAILRACE_API_TOKENS_FILE or TAILRACE_OIDC_ISSUER')
  }
  return service(reader, settings)
}

/** For `worker` and `migrate`. */
export function workerSettings(env: Environment): ServiceSettings {
  const reader = new EnvironmentReader(env)
  return service(reader, read(reader, env))
}

/** For the verbs that talk to the API, and for `dev` and `demo`, which bring their own database and Temporal. */
export function cliSettings(env: Environment): Settings {
  const reader = new EnvironmentReader(env)
  return finish(reader, read(reader, env))
}

function service(reader: EnvironmentReader, settings: Settings): ServiceSettings {
  const rule = 'is not set (`tailrace dev` brings its own)'
  const databaseUrl = reader.require('DATABASE_URL', settings.databaseUrl, rule)
  const { temporal } = settings
  if (temporal === null && reader.text('TEMPORAL_ADDRESS') === null) reader.wrong('TEMPORAL_ADDRESS', rule)
  if (databaseUrl === null || temporal === null) throw new SettingsError(reader.problems)
  return finish(reader, { ...settings, databaseUrl, temporal })
}

function finish<T extends Settings>(reader: EnvironmentReader, settings: T): T {
  if (reader.problems.length > 0) throw new SettingsError(reader.problems)
  return Object.freeze(settings)
}

const PORTS = { min: 0, max: 65_535 }
const HTTP = ['http', 'https']

function read(reader: EnvironmentReader, env: Environment): Settings {
  return {
    databaseUrl: reader.url('DATABASE_URL', ['postgres', 'postgresql'], reader.secret('DATABASE_URL')),
    temporal: readTemporal(reader, env),
    temporalUiUrl: reader.url('TEMPORAL_UI_URL', HTTP),
    temporalBinary: reader.text('TAILRACE_TEMPORAL_BINARY'),
    taskQueue: reader.text('TAILRACE_TASK_QUEUE') ?? 'tailrace',
    host: reader.text('TAILRACE_HOST') ?? '127.0.0.1',
    port: reader.integer('TAILRACE_PORT', PORTS, 8080),
    apiToken: reader.secret('TAILRACE_API_TOKEN'),
    apiTokensFile: reader.text('TAILRACE_API_TOKENS_FILE'),
    oidc: readOidc(reader),
    metricsHost: reader.text('TAILRACE_METRICS_HOST') ?? '127.0.0.1',
    metricsPort: reader.integer('TAILRACE_METRICS_PORT', PORTS, 9464),
    temporalMetricsPort: reader.integer('TAILRACE_TEMPORAL_METRICS_PORT', PORTS, null),
    secretsDir: reader.text('TAILRACE_SECRETS_DIR') ?? '/run/secrets/tailrace',
    url: reader.url('TAILRACE_URL', HTTP) ?? 'http://127.0.0.1:8080',
    retentionDays: reader.integer('TAILRACE_RETENTION_DAYS', { min: 1, max: 36_500 }, 30),
    logLevel: reader.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    otlpEndpoint: reader.url('OTEL_EXPORTER_OTLP_ENDPOINT', HTTP),
    failpoints: readFailpoints(reader),
  }
}

function readOidc(reader: EnvironmentReader): Settings['oidc'] {
  const issuer = reader.url('TAILRACE_OIDC_ISSUER', HTTP)
  const audience = reader.text('TAILRACE_OIDC_AUDIENCE')
  if (issuer?.startsWith('http:') === true && !isLoopback(new URL(issuer).hostname))
    reader.wrong('TAILRACE_OIDC_ISSUER', 'must be https://: its keys decide who may call')
  if (issuer !== null && audience !== null) return { issuer, audience }
  if (issuer !== null) reader.wrong('TAILRACE_OIDC_AUDIENCE', 'is needed beside TAILRACE_OIDC_ISSUER')
  if (audience !== null) reader.require('TAILRACE_OIDC_ISSUER', issuer, 'is needed beside TAILRACE_OIDC_AUDIENCE')
  return null
}

/** `none` arms nothing yet; the parent process does it later. */
function readFailpoints(reader: EnvironmentReader): Settings['failpoints'] {
  const text = reader.text('TAILRACE_FAILPOINTS')
  if (text === null || text === 'none') return text === null ? null : []
  try {
    return parseFailpoints(text)
  } catch (error) {
    reader.wrong('TAILRACE_FAILPOINTS', error instanceof Error ? `is for tests only: ${error.message}` : 'is not valid')
    return null
  }
}

/**
 * The SDK's own names (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…, TEMPORAL_GRPC_META_…). Its
 * configuration file counts only when TEMPORAL_CONFIG_FILE names it: what is in a home folder must not redirect a service.
 */
function readTemporal(reader: EnvironmentReader, env: Environment): TemporalSettings | null {
  const apiKey = reader.secret('TEMPORAL_API_KEY')
  const names: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith('TEMPORAL_') && value !== undefined && value !== '') names[name] = value
  }
  if (apiKey !== null) names['TEMPORAL_API_KEY'] = apiKey
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({
      overrideEnvVars: names,
      disableFile: reader.text('TEMPORAL_CONFIG_FILE') === null,
    })
    const address = connectionOptions.address
    if (address === undefined) return null
    const namesFile = Object.keys(names).some((name) => /_(FILE|PATH)$/.test(name))
    return Object.freeze({
      connection: { ...connectionOptions, address },
      namespace: namespace ?? 'default',
      readAgain: namesFile ? () => readTemporalAgain(env) : null,
    })
  } catch {
    // The library's message may hold the value of a certificate or a path; the names are enough to find it.
    const tls = Object.keys(names).filter((name) => /TLS|CONFIG_FILE|PROFILE/.test(name))
    reader.wrong(tls.length > 0 ? tls.join(', ') : 'TEMPORAL_ADDRESS', 'cannot be used as Temporal connection settings')
    return null
  }
}

function readTemporalAgain(env: Environment): TemporalSettings['connection'] {
  const reader = new EnvironmentReader(env)
  const temporal = readTemporal(reader, env)
  if (temporal === null || reader.problems.length > 0) throw new SettingsError(reader.problems)
  return temporal.connection
}
