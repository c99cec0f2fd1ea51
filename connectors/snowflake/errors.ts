import { ConnectorError, type ErrorKind } from '../errors.ts'
import type { Target } from './config.ts'

/** `set-up`: of the session. `run`: rows were being made, so the server's words may quote one. */
export type Phase = 'connect' | 'set-up' | 'prepare' | 'run'

export interface Circumstances {
  readonly target: Pick<Target, 'address' | 'username' | 'warehouse'>
  readonly phase: Phase
}

/** Pure: what an error of the driver means. A ConnectorError passes through as it is; nothing of the cause is kept but codes. */
export function classifyFailure(error: unknown, circumstances: Circumstances): ConnectorError {
  if (error instanceof ConnectorError) return error
  const { name, code, message, sqlState, status, causeCode } = anatomy(error)
  const cause = new Error([name, code, sqlState, status, causeCode].filter((part) => part !== '').join(' '))
  const make = (kind: ErrorKind, text: string, shown = code): ConnectorError =>
    new ConnectorError(kind, text, shown === '' ? { cause } : { cause, code: shown })
  const { address, username } = circumstances.target
  if (name === 'OperationFailedError') return make(...serverFailure({ code, sqlState, message }, circumstances))
  // Only the request for a token leaves its error as it came; it tells nothing of what the server said.
  if (name === 'ResponseBodyError' || name === 'WWWAuthenticateChallengeError' || (name === 'AxiosError' && /^4/.test(status)))
    return make('auth', `the OAuth client of user "${username}" was refused a token; check clientId, clientSecret and tokenUrl`, status)
  if (circumstances.phase === 'connect' && status !== '') return make(...httpFailure(status, circumstances))
  if (name === 'InvalidParameterError' || name === 'MissingParameterError') return make('config', `snowflake config: ${message}`)
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_OCSP)/.test(causeCode))
    return make('config', `Snowflake at ${address}: its TLS certificate is not trusted (${causeCode})`, causeCode)
  const reason = UNREACHABLE[causeCode]
  if (circumstances.phase === 'connect' || reason !== undefined)
    return make(
      'source',
      `Snowflake at ${address} cannot be reached: ${reason ?? 'the connection was lost while it was being set up'}`,
      causeCode,
    )
  return make('source', `Snowflake at ${address}: the connection was lost${status === '' ? '' : ` (HTTP ${status})`}`, causeCode)
}

/** 390112: our token is older than an hour and was not renewed. */
export function isTokenExpired(error: unknown): boolean {
  return error instanceof ConnectorError && error.code === '390112'
}

/** 000710: the answer for a query whose result is no longer kept. */
export function isResultLost(error: unknown): boolean {
  return error instanceof ConnectorError && error.code === '000710'
}

interface Anatomy {
  readonly name: string
  readonly code: string
  readonly message: string
  readonly sqlState: string
  readonly status: string
  readonly causeCode: string
}

function anatomy(error: unknown): Anatomy {
  const at = (from: unknown, name: string): unknown => (typeof from === 'object' && from !== null ? Reflect.get(from, name) : undefined)
  const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
  const cause = at(error, 'cause')
  return {
    ...{
      name: text(at(error, 'name')),
      code: text(at(error, 'code')),
      message: text(at(error, 'message')),
      sqlState: text(at(error, 'sqlState')),
    },
    status: text(at(at(error, 'response'), 'status') ?? at(at(error, 'response'), 'statusCode') ?? at(error, 'status')),
    causeCode: text(at(cause, 'code')) || text(at(at(cause, 'cause'), 'code')) || text(at(error, 'code')),
  }
}

const TWO_STATEMENTS = 'the model holds more than one statement; a model is one SELECT (a semicolon may only stand at its end)'

function serverFailure(
  { code, sqlState, message }: Pick<Anatomy, 'code' | 'sqlState' | 'message'>,
  { target, phase }: Circumstances,
): readonly [ErrorKind, string] {
  const where = `Snowflake at ${target.address}`
  const words = message.replace(/\s*\n\s*/g, ' ').replace(/\.$/, '')
  if (phase === 'connect') return ['auth', `${where} does not let user "${target.username}" in: ${words} (${code})`]
  // Sessions and tokens: the next attempt logs in anew.
  if (/^3901(04|11|12|14)$/.test(code)) return ['source', `${where}: the session has ended (${code})`]
  if (phase === 'set-up') return ['config', `${where}: the session could not be set up: ${words} (${code})`]
  if (code === '000008') return ['config', TWO_STATEMENTS]
  if (code === '000606') return ['config', `${where} has no warehouse "${target.warehouse}", or the role may not use it (000606)`]
  if (code === '000604') return ['source', `${where}: somebody cancelled the query (000604)`]
  if (/^(08|40|53|57|58|XX)/.test(sqlState))
    return ['source', `${where}: ${KNOWN[code] ?? 'it could not answer'} (${code}, SQLSTATE ${sqlState})`]
  if (phase === 'prepare') return ['query', `the model’s SQL is not valid: ${words} (${code})`]
  return [
    'query',
    `the model’s query failed: ${KNOWN[code] ?? 'Snowflake refused a row'} (${code}${sqlState === '' ? '' : `, SQLSTATE ${sqlState}`})`,
  ]
}

/** What the words that must not be passed on say, without the row's value in them. */
const KNOWN: Readonly<Record<string, string>> = {
  '000603': 'an internal error of Snowflake',
  '000630': 'the query ran into a statement timeout, of ours (four hours), the account’s or the warehouse’s',
  '000631': 'the query waited for its warehouse for too long',
  '090073': 'the warehouse cannot be resumed: its resource monitor’s quota is used up',
  '100035': 'a text is no timestamp',
  '100037': 'a text is no boolean',
  '100038': 'a text is no number',
  '100040': 'a text is no date',
  '100046': 'a number is out of its type’s range',
  '100051': 'a division by zero',
  '100078': 'a text, or a row as a whole, is longer than a VARCHAR may be',
  '100069': 'a text is no JSON',
}

function httpFailure(status: string, { target }: Circumstances): readonly [ErrorKind, string] {
  if (status === '403' || status === '404')
    return ['config', `there is no Snowflake account at ${target.address} (HTTP ${status}); check account and accessUrl`]
  if (status === '400' || status === '401') return ['auth', `user "${target.username}" was refused (HTTP ${status}); check its credentials`]
  return ['source', `Snowflake at ${target.address} cannot be reached: it answers with HTTP ${status}`]
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its host name is not known; check account and accessUrl',
  EAI_AGAIN: 'its host name could not be looked up right now',
  ECONNREFUSED: 'the connection was refused',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection in time; check proxies and firewalls',
  ECONNABORTED: 'no answer in time; check proxies and firewalls',
}
