import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { RowStatement } from 'snowflake-sdk'
import type { QueryHandle } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { isResultLost } from './errors.ts'
import { cancelled, quoteText, type Session } from './session.ts'

/** Between two questions for a query's state: grows by half each time. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/** For so long a query that was just submitted may be unknown to the monitoring. */
const UNKNOWN_MS = 30_000

/** A handle's text: which statement it was, under which tag it was to be submitted, and its id once Snowflake gave one. */
interface Written {
  readonly statement: string
  readonly tag: string
  readonly queryId?: string
}

/**
 * Submits a query, or goes on with the one that an earlier attempt submitted. The tag is written down before Snowflake is asked: if the
 * answer with the id is lost, the query history still knows it. Gives the query's id.
 */
export async function startQuery(
  session: Session,
  sql: string,
  { label, handle }: { label: Readonly<Record<string, string>>; handle: QueryHandle | null },
): Promise<string> {
  const statement = createHash('sha256').update(sql).digest('hex').slice(0, 32)
  const known = parseHandle(handle?.known ?? null)
  // A newer version of the worker may put another statement together.
  if (known?.statement === statement) {
    const queryId = known.queryId ?? (await findByTag(session, known.tag))
    if (queryId !== null) return queryId
  }
  const tag = JSON.stringify({ app: 'tailrace', ...label, attempt: randomUUID() })
  await handle?.keep(JSON.stringify({ statement, tag } satisfies Written))
  const queryId = await session.submit(sql, tag)
  await handle?.keep(JSON.stringify({ statement, tag, queryId } satisfies Written))
  return queryId
}

/** Runs a statement of ours that may take its time and that nobody goes on with. An abort ends it. */
export async function runInBackground(
  session: Session,
  sql: string,
  { tag, signal }: { tag: string; signal: AbortSignal },
): Promise<RowStatement> {
  const queryId = await session.submit(sql, tag)
  try {
    return await resultOf(session, queryId, { signal, handle: null })
  } catch (error) {
    if (signal.aborted) await session.cancel(queryId)
    throw error
  }
}

const ENDED = new Set(['SUCCESS', 'FAILED_WITH_ERROR', 'FAILED_WITH_INCIDENT', 'ABORTED', 'DISCONNECTED'])

/** Waits until a query has ended. Throws `expired` for a result that is gone, and what a failed query means; both are forgotten. */
export async function resultOf(
  session: Session,
  queryId: string,
  { signal, handle }: { signal: AbortSignal; handle: QueryHandle | null },
): Promise<RowStatement> {
  const since = performance.now()
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const status = await session.status(queryId)
    if (ENDED.has(status)) break
    if (/^NO_(QUERY_)?DATA$/.test(status) && performance.now() - since > UNKNOWN_MS) return forget(handle, lost(session, queryId))
    await pause(pauseMs, undefined, { signal }).catch(() => {
      throw cancelled(signal)
    })
  }
  try {
    return await session.result(queryId)
  } catch (error) {
    if (signal.aborted) throw error
    return forget(handle, isResultLost(error) ? lost(session, queryId) : error)
  }
}

async function forget(handle: QueryHandle | null, error: unknown): Promise<never> {
  await handle?.keep(null)
  throw error
}

function lost({ target }: Session, queryId: string): ConnectorError {
  const why = 'results are kept for 24 hours'
  return new ConnectorError('expired', `Snowflake at ${target.address} no longer has the result of query ${queryId} (${why})`)
}

/** The newest query of ours with this tag, still running or not; null: it never reached Snowflake. */
async function findByTag(session: Session, tag: string): Promise<string | null> {
  const history = `TABLE(INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(RESULT_LIMIT => 10000))`
  const [row] = await session.texts(`SELECT query_id FROM ${history} WHERE query_tag = ${quoteText(tag)} ORDER BY start_time DESC LIMIT 1`)
  return row?.[0] ?? null
}

function parseHandle(text: string | null): Written | null {
  return text === null ? null : (JSON.parse(text) as Written)
}
