import type { Column, Connection, RowStatement, SnowflakeError, StatementOption } from 'snowflake-sdk'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { driver } from './driver.ts'
import { classifyFailure, isTokenExpired, type Phase } from './errors.ts'

/** An answer to a short request is waited for so long; models run asynchronously and have no part in it. */
const ANSWER_SECONDS = 120

/** A model that runs for longer than this, or waits for its warehouse for longer, is ended by Snowflake. */
const STATEMENT_SECONDS = 4 * 3600
const QUEUED_SECONDS = 3600

/**
 * One statement for all of them: several in one request would be a script, which resumes the warehouse. Formats and zone decide how
 * the model's own casts print; a model must not mean something else because an account's default was changed.
 */
const PARAMETERS = `TIMEZONE = 'UTC', STATEMENT_TIMEOUT_IN_SECONDS = ${STATEMENT_SECONDS},
  STATEMENT_QUEUED_TIMEOUT_IN_SECONDS = ${QUEUED_SECONDS}, ABORT_DETACHED_QUERY = FALSE, MULTI_STATEMENT_COUNT = 1, ROWS_PER_RESULTSET = 0,
  CLIENT_RESULT_CHUNK_SIZE = 16, QUOTED_IDENTIFIERS_IGNORE_CASE = FALSE, STRICT_JSON_OUTPUT = TRUE, DATE_OUTPUT_FORMAT = 'YYYY-MM-DD',
  TIME_OUTPUT_FORMAT = 'HH24:MI:SS.FF9', TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9',
  TIMESTAMP_LTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM', TIMESTAMP_TZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM',
  BINARY_OUTPUT_FORMAT = 'HEX', GEOGRAPHY_OUTPUT_FORMAT = 'GeoJSON'`

/** One logged-in connection. Every call throws ConnectorError only, `cancelled` on abort. Whoever opens it closes it. */
export class Session {
  readonly target: Target
  readonly #connection: Connection
  readonly #signal: AbortSignal

  private constructor(target: Target, connection: Connection, signal: AbortSignal) {
    this.target = target
    this.#connection = connection
    this.#signal = signal
  }

  /** `outlives`: queries go on when the session is closed. No statement of it resumes the warehouse. */
  static async open(target: Target, signal: AbortSignal, { tag, outlives }: { tag: string; outlives: boolean }): Promise<Session> {
    if (signal.aborted) throw cancelled(signal)
    const connection = connect(target, outlives)
    const session = new Session(target, connection, signal)
    try {
      await session.#bounded('connect', signal, (done) => connection.connect((error) => done(error, undefined)))
      await session.#execute('set-up', { sqlText: `ALTER SESSION SET QUERY_TAG = ${quoteText(tag)}, ${PARAMETERS}` })
      return session
    } catch (error) {
      await session.close()
      throw error
    }
  }

  /** Columns of a statement. It is compiled and not run. */
  async describe(sql: string): Promise<readonly Column[]> {
    const statement = await this.#execute('prepare', { sqlText: sql, describeOnly: true })
    return statement.getColumns() ?? []
  }

  /** All rows of a short statement. */
  texts(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return this.#bounded('prepare', this.#signal, (done) => {
      const complete = (error: SnowflakeError | undefined, _: unknown, rows?: unknown[]): void =>
        done(error, (rows ?? []) as (string | null)[][])
      this.#connection.execute({ sqlText: sql, streamResult: false, complete })
    })
  }

  /** A statement whose answer is not looked at; with rows, it is carried out with the values of each, by one request. */
  async command(sqlText: string, { tag, rows }: { tag: string; rows?: (string | null)[][] }): Promise<void> {
    const binds = rows === undefined ? {} : { binds: rows as string[][] }
    await this.#execute('prepare', { sqlText, parameters: { QUERY_TAG: tag }, ...binds })
  }

  /** Has a query run in the background; its id. An abort waits for the answer: without the id nobody could end the query. */
  submit(sql: string, tag: string): Promise<string> {
    const options = { sqlText: sql, asyncExec: true, streamResult: true, parameters: { QUERY_TAG: tag } }
    return this.#bounded('run', null, (done) => {
      const complete = (error: SnowflakeError | undefined, statement: { getQueryId(): string }): void => done(error, statement.getQueryId())
      this.#connection.execute({ ...options, complete })
    })
  }

  /** The driver's words for a query's state; `NO_QUERY_DATA` for one that Snowflake does not know, or not yet. */
  async status(queryId: string): Promise<string> {
    try {
      return await this.#promised('run', () => this.#connection.getQueryStatus(queryId))
    } catch (error) {
      // This one call does not renew an expired token; a heartbeat does.
      if (!isTokenExpired(error)) throw error
      await this.#promised('run', () => this.#connection.isValidAsync())
      return this.#promised('run', () => this.#connection.getQueryStatus(queryId))
    }
  }

  /** The result of a query that has ended. Throws what its failure means. */
  result(queryId: string): Promise<RowStatement> {
    return this.#bounded('run', this.#signal, (done) => {
      this.#connection.fetchResult({ queryId, streamResult: true, complete: (error, statement) => done(error, statement) })
    })
  }

  /** Bounded, and works after an abort. Never rejects. */
  async close(): Promise<void> {
    await atMost(5000, (done) => this.#connection.destroy(() => done()))
  }

  /** Ends a query, if it still runs. Bounded, and works after an abort. Never rejects. */
  async cancel(queryId: string): Promise<void> {
    const sqlText = `SELECT SYSTEM$CANCEL_QUERY(${quoteText(queryId)})`
    await atMost(10_000, (done) => void this.#connection.execute({ sqlText, complete: () => done() }))
  }

  #execute(phase: Phase, options: StatementOption): Promise<RowStatement> {
    return this.#bounded(phase, this.#signal, (done) => {
      this.#connection.execute({ ...options, streamResult: true, complete: (error, statement) => done(error, statement) })
    })
  }

  #promised<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    return this.#bounded(phase, this.#signal, (done) => {
      work().then(
        (value) => done(undefined, value),
        (error: unknown) => done(error, undefined as T),
      )
    })
  }

  /**
   * The driver repeats a request for hours and gives no way to stop it: from abort and from the end of our patience on nobody listens
   * any more. A repeat that gets through then carries the request id of the first, or meets a closed session.
   */
  #bounded<T>(phase: Phase, signal: AbortSignal | null, start: (done: (error: unknown, value: T) => void) => void): Promise<T> {
    const { target } = this
    return new Promise<T>((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        end()
      }
      const abort = (): void => settle(() => reject(cancelled(this.#signal)))
      const late = (): void =>
        settle(() => reject(new ConnectorError('source', `Snowflake at ${target.address} gave no answer in ${ANSWER_SECONDS} seconds`)))
      const timer = setTimeout(late, ANSWER_SECONDS * 1000)
      signal?.addEventListener('abort', abort)
      if (signal?.aborted === true) return abort()
      const failed = (error: unknown): void => settle(() => reject(classifyFailure(error, { target, phase })))
      try {
        start((error, value) => (error ? failed(error) : settle(() => resolve(value))))
      } catch (error) {
        failed(error)
      }
    })
  }
}

/** A session for one piece of work. */
export async function withSession<T>(
  target: Target,
  signal: AbortSignal,
  options: { tag: string; outlives: boolean },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await Session.open(target, signal, options)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

/** Nothing is sent yet. Attempts at a login are the caller's to repeat. */
function connect(target: Target, outlives: boolean): Connection {
  try {
    return driver().createConnection({
      ...target.options,
      ...{ application: 'Tailrace', rowMode: 'array', resultPrefetch: 1, rowStreamHighWaterMark: 1000, timeout: 60_000 },
      ...{ sfRetryMaxLoginRetries: 0, serverSessionKeepAlive: outlives, clientSessionKeepAlive: true },
    })
  } catch (error) {
    throw classifyFailure(error, { target, phase: 'connect' })
  }
}

export function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

/** Throws `cancelled`. */
export function assertNotAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled(signal)
}

export function cancelled(signal: AbortSignal): ConnectorError {
  return new ConnectorError('cancelled', 'the read was cancelled', { cause: signal.reason })
}

function atMost(ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    try {
      start(() => {
        clearTimeout(timer)
        resolve()
      })
    } catch {
      clearTimeout(timer)
      resolve()
    }
  })
}
