import { ConnectorError, type ErrorKind } from '../errors.ts'
import type { Dialect } from './dialect.ts'
import { lineAndColumn } from './model-sql.ts'
import { nameSqlstate } from './sqlstates.ts'

/** What was going on when something failed. No field may hold a secret or a row's value. */
export interface Circumstances {
  readonly dialect: Pick<Dialect, 'title' | 'advice'>
  readonly address: string
  readonly user: string
  readonly database: string
  /** `run`: rows were being made, so even a message of class 42 may quote one. */
  readonly phase: 'connect' | 'prepare' | 'run'
  readonly statementTimeoutSeconds: number
  /** The user's own SQL and how many characters the sent statement has before it. */
  readonly written?: { readonly sql: string; readonly offset: number } | undefined
}

/** Pure: what a failure of the driver or the server means. A ConnectorError passes through as it is. */
export function classifyFailure(error: unknown, circumstances: Circumstances): ConnectorError {
  if (error instanceof ConnectorError) return error
  const server = serverError(error)
  return server === null ? driverFailure(error, circumstances) : serverFailure(server, circumstances)
}

interface ServerError {
  readonly code: string
  readonly message: string
  readonly hint: string | null
  readonly position: number | null
  readonly routine: string
}

/** Node's own codes look much alike (`EPIPE`): only what the server sends has a severity. */
function serverError(error: unknown): ServerError | null {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error) || typeof error.code !== 'string') return null
  const text = (name: string): string | null => {
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' ? value : null
  }
  const position = Number(text('position'))
  return {
    code: error.code,
    message: error.message,
    hint: text('hint'),
    position: position > 0 ? position : null,
    routine: text('routine') ?? '',
  }
}

const TWO_STATEMENTS = 'the model holds more than one statement; a model is one SELECT (a semicolon may only stand at its end)'

function serverFailure(error: ServerError, circumstances: Circumstances): ConnectorError {
  const { code } = error
  const where = `${circumstances.dialect.title} at ${circumstances.address}`
  const make = (kind: ErrorKind, message: string): ConnectorError => new ConnectorError(kind, message, { code, cause: withoutWords(error) })
  if (error.routine === 'exec_parse_message' && code === '42601') return make('config', TWO_STATEMENTS)
  if (code.startsWith('42')) return make('query', classMessage(error, circumstances))
  const named = nameSqlstate(code)
  const place = position(error, circumstances)
  const [kind, advice] = meaning(code, circumstances)
  if (kind === 'query') return make(kind, `the model’s query failed: ${named}${place}${advice}`)
  return make(kind, `${where}: ${named}${advice}`)
}

/** Parsing sees no rows, so the server's words are safe; while rows are made a cast to regclass, say, quotes a value. */
function classMessage(error: ServerError, circumstances: Circumstances): string {
  const permission = error.code === '42501' && /^permission denied for [a-z ]+ \S+$/.test(error.message)
  if (circumstances.phase === 'run' && !permission) return `the model’s query failed: ${nameSqlstate(error.code)}`
  const hint = error.hint === null ? '' : `. Hint: ${error.hint}`
  return `the model’s SQL is not valid: ${error.message}${position(error, circumstances)} (SQLSTATE ${error.code})${hint}`
}

function position(error: ServerError, { written }: Circumstances): string {
  if (error.position === null || written === undefined) return ''
  const own = error.position - written.offset
  if (own < 1 || own > Array.from(written.sql).length + 1) return ''
  const { line, column } = lineAndColumn(written.sql, own)
  return ` at line ${line}, column ${column}`
}

/** By SQLSTATE, then by its class: the kind, and what to do about it. */
function meaning(code: string, circumstances: Circumstances): readonly [ErrorKind, string] {
  switch (code) {
    case '28P01':
      return ['auth', ` for user "${circumstances.user}"; check user and password in the url`]
    case '3D000':
      return ['config', `: there is no database "${circumstances.database}"; check the url`]
    case '57014':
      return [
        'source',
        circumstances.phase === 'run'
          ? `; it ran into statementTimeoutSeconds (${circumstances.statementTimeoutSeconds}) or somebody cancelled it: raise it, simplify the model, or index the primary key`
          : '; the query could not be prepared in time, probably for a lock on one of its tables',
      ]
    case '25006':
      return ['query', '; the model tries to write, and models are only read']
    case '53300':
      return ['source', '; the server has no connection left for us']
    case '55P03':
      return ['source', '; a table of the model is locked']
    case '40001':
      return ['source', circumstances.dialect.advice.ended]
    case '25P03':
    case '25P04':
      return ['source', '; the transaction was idle or open for too long']
  }
  switch (code.slice(0, 2)) {
    case '08':
      return ['source', '']
    case '28':
      return ['auth', ` for user "${circumstances.user}", database "${circumstances.database}"${circumstances.dialect.advice.login}`]
    case '40':
    case '53':
    case '58':
    case '72':
    case 'XX':
      return ['source', '']
    case '57':
      return [
        'source',
        circumstances.phase === 'connect'
          ? '; the server starts or stops'
          : `; the server ended the connection${circumstances.dialect.advice.ended}`,
      ]
  }
  return circumstances.phase === 'connect' ? ['source', ''] : ['query', '']
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its host name is not known; check the url',
  EAI_AGAIN: 'its host name could not be looked up right now',
  ECONNREFUSED: 'the connection was refused; check host and port, and that the server runs and listens there',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no connection in time; check host, port and firewalls',
  ENOENT: 'there is no such socket; check that the server runs',
  EACCES: 'this process may not use the socket',
}

function driverFailure(error: unknown, { dialect, address, user, phase }: Circumstances): ConnectorError {
  const where = `${dialect.title} at ${address}`
  const code = nodeCode(error)
  const extra = code === null ? { cause: error } : { cause: error, code }
  const message = error instanceof Error ? error.message : ''
  const unreachable = (reason: string): ConnectorError => new ConnectorError('source', `${where} cannot be reached: ${reason}`, extra)
  if (code !== null && /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) {
    const advice =
      code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? 'it is for another host name; use the name it was issued for'
        : 'name the authority that signed it in caFile, or renew it'
    return new ConnectorError('config', `${where}: its TLS certificate is not trusted (${code}): ${advice}`, extra)
  }
  if (message === 'The server does not support SSL connections') {
    return new ConnectorError(
      'config',
      `${where} offers no TLS; turn it on there, or take sslmode and caFile out of the configuration`,
      extra,
    )
  }
  if (message.startsWith('SASL') || message.startsWith('Unknown authenticationOk')) {
    return new ConnectorError(
      'auth',
      `${where} and we agree on no way to authenticate user "${user}"; check that the url holds a password`,
      extra,
    )
  }
  const known = code === null ? undefined : UNREACHABLE[code]
  if (known !== undefined) return unreachable(`${known} (${code ?? ''})`)
  if (message === 'timeout expired') return unreachable('no connection in time; check host, port and firewalls')
  if (phase === 'connect') return unreachable(`the connection was lost while it was being set up${code === null ? '' : ` (${code})`}`)
  return new ConnectorError('source', `${where}: the connection was lost${code === null ? '' : ` (${code})`}`, extra)
}

function nodeCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  if ('code' in error && typeof error.code === 'string') return error.code
  return error instanceof AggregateError ? nodeCode(error.errors[0]) : null
}

/** A cause for the log: the server's message, detail and context may quote rows, its code and the place in its source do not. */
function withoutWords(error: ServerError): Error {
  return new Error(`SQLSTATE ${error.code} from ${error.routine || 'the server'}`)
}
