import pg from 'pg'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { classifyFailure, type Circumstances } from './errors.ts'

/** One connection. Whoever opens it ends it, by `close` when it is idle, by `destroy` when it is not. */
export interface Session {
  readonly client: pg.Client
  readonly target: Target
}

/** Connects within the configured time. Throws what `classifyFailure` makes of a failure, `cancelled` on abort. */
export async function openSession(target: Target, signal: AbortSignal): Promise<Session> {
  const session = { client: new pg.Client(target.client), target }
  // A connection that breaks while nothing is asked of it breaks the next query, which tells.
  session.client.on('error', () => {})
  const abort = (): void => destroy(session)
  signal.addEventListener('abort', abort)
  try {
    if (signal.aborted) throw cancelled(signal)
    await session.client.connect()
    return session
  } catch (error) {
    destroy(session)
    if (signal.aborted) throw cancelled(signal)
    throw classifyFailure(error, circumstances(target, 'connect'))
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** A session for some short work, closed after it. Fails as `guarded` does. */
export async function withSession<T>(
  target: Target,
  signal: AbortSignal,
  seconds: number,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(target, signal)
  const result = await guarded(session, signal, seconds, () => work(session))
  await close(session)
  return result
}

/**
 * Bounds work on a session that sends no rows. The session is destroyed on abort, when the time is up and when the work throws; then
 * this throws `cancelled`, `source`, or what `classifyFailure` makes of it.
 */
export async function guarded<T>(session: Session, signal: AbortSignal, seconds: number, work: () => Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(seconds * 1000)
  const stop = (): void => destroy(session)
  signal.addEventListener('abort', stop)
  late.addEventListener('abort', stop)
  try {
    if (signal.aborted) throw cancelled(signal)
    return await work()
  } catch (error) {
    destroy(session)
    if (signal.aborted) throw cancelled(signal)
    if (late.aborted)
      throw new ConnectorError(
        'source',
        `${session.target.dialect.title} at ${session.target.address} gave no answer in ${seconds} seconds`,
        { cause: error },
      )
    throw classifyFailure(error, circumstances(session.target, 'prepare'))
  } finally {
    signal.removeEventListener('abort', stop)
    late.removeEventListener('abort', stop)
  }
}

/**
 * Opens the read-only snapshot and pins, for this transaction only (a pooler may hand the connection on), every setting that
 * decides how a value is printed.
 */
export async function beginReadOnly({ client, target }: Session, statementTimeoutSeconds: number): Promise<void> {
  const settings = target.dialect.settings(statementTimeoutSeconds)
  const pinned = Object.entries(settings).map(([name, value]) => `set local ${name} to '${value}'`)
  await client.query(['begin isolation level repeatable read read only', ...pinned].join('; '))
}

/** Says goodbye to the server, which must be idle. Bounded: a peer that no longer answers is dropped. */
export async function close(session: Session): Promise<void> {
  const timer = setTimeout(() => destroy(session), 2000)
  await session.client.end()
  clearTimeout(timer)
}

/** Drops the connection at once, whatever it is doing; its pending query rejects. Idempotent. */
export function destroy({ client }: Session): void {
  client.connection.stream.destroy()
}

/** Stops what a backend is doing. Bounded, and best effort: without it the server finds out when it writes to the closed socket. */
export async function cancelBackend(target: Target, pid: number): Promise<void> {
  const late = AbortSignal.timeout(5000)
  await withSession(target, late, 5, ({ client }) => client.query('select pg_cancel_backend($1)', [pid])).catch(() => undefined)
}

export function circumstances(target: Target, phase: Circumstances['phase'], written?: Circumstances['written']): Circumstances {
  const { dialect, address, user, database, statementTimeoutSeconds } = target
  return { dialect, address, user, database, statementTimeoutSeconds, phase, written }
}

export function cancelled(signal: AbortSignal): ConnectorError {
  return new ConnectorError('cancelled', 'the read was cancelled', { cause: signal.reason })
}
