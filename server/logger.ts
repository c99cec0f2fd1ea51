import { pino, type DestinationStream, type Logger } from 'pino'
import pretty from 'pino-pretty'

export type { Logger }

const SECRET_NAMES = [
  'password',
  'token',
  'secret',
  'clientSecret',
  'privateKey',
  'apiKey',
  'accessToken',
  'refreshToken',
  'authorization',
  'cookie',
]

const redact = [...SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), 'req.headers.authorization', 'req.headers.cookie']

/**
 * One JSON object a line on stdout, readable text on a terminal. Secrets are blanked by name; of an error only its type, code,
 * message and stack are written, because the other properties of database errors hold row values.
 */
export function createLogger(options: { readonly level: string; readonly name: string; readonly destination?: DestinationStream }): Logger {
  const settings = {
    level: options.level,
    base: { name: options.name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redact, censor: '[redacted]' },
    serializers: { err: describeError, error: describeError },
  }
  return pino(
    settings,
    options.destination ??
      (process.stdout.isTTY ? pretty({ sync: true, colorize: process.env['NO_COLOR'] === undefined }) : pino.destination(1)),
  )
}

interface ErrorLine {
  readonly type: string
  readonly code?: string
  readonly message?: string
  readonly stack: string
  readonly cause?: ErrorLine
}

/** Of a cause the message is left out: a destination's or a warehouse's words may quote a row. */
function describeError(error: unknown, depth = 0): ErrorLine {
  if (!(error instanceof Error)) return { type: typeof error, message: depth === 0 ? String(error) : '', stack: '' }
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? String(error.code) : undefined
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')
  return {
    type: error.name === 'Error' ? error.constructor.name : error.name,
    ...(code === undefined ? {} : { code }),
    ...(depth === 0 ? { message: quotesData(error) ? `SQLSTATE ${code}` : error.message } : {}),
    stack: frames,
    ...(error.cause === undefined || depth > 3 ? {} : { cause: describeError(error.cause, depth + 1) }),
  }
}

/** PostgreSQL's class 22 (data exception) quotes the offending value in its message. */
function quotesData(error: Error): boolean {
  return 'severity' in error && 'code' in error && String(error.code).startsWith('22')
}
