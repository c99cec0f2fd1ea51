import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { LIST, listValue, VARCHAR } from '@duckdb/node-api'
import { asSqlFailure, prepareOne, SqlFailure, type Engine, type RowType } from './engine.ts'
import { createdTable, type Session } from './dialect.ts'
import { storeResult, type StoredResult } from './results.ts'

export type Status = 'RUNNING' | 'SUCCESS' | 'FAILED_WITH_ERROR' | 'ABORTED'

/** One statement that the warehouse was asked for, as its query history has it. */
export interface Query {
  readonly id: string
  readonly sql: string
  readonly tag: string
  readonly sessionId: number
  readonly requestId: string
  readonly asynchronous: boolean
  status: Status
  rowTypes: readonly RowType[]
  result: StoredResult | null
  failure: SqlFailure | null
  /** How often its state was asked for. */
  polls: number
  ended: Promise<void>
  readonly abort: AbortController
}

export interface Statement {
  readonly sql: string
  /** What is bound to its marks: the values of many rows, column by column. */
  readonly bound: readonly (readonly (string | null)[])[]
  readonly tag: string
  readonly sessionId: number
  readonly session: Session
  readonly requestId: string
  readonly asynchronous: boolean
  readonly maxChunkBytes: number
}

/** The only schema in which the role may make tables. */
const PLANNER_SCHEMA = 'TAILRACE'

export class Queries {
  readonly #engine: Engine
  readonly #all = new Map<string, Query>()
  /** Statements that needed the warehouse: each would have resumed it. */
  readonly resumedBy: string[] = []

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** A repeated request id is the same query again. */
  submit(statement: Statement): Query {
    const known = this.all().find(({ requestId }) => requestId === statement.requestId)
    if (known !== undefined) return known
    const abort = new AbortController()
    const { sql, tag, sessionId, requestId, asynchronous } = statement
    const query: Query = {
      ...{ id: randomUUID(), sql, tag, sessionId, requestId, asynchronous, abort },
      ...{ status: 'RUNNING', rowTypes: [], result: null, failure: null, polls: 0, ended: Promise.resolve() },
    }
    this.#all.set(query.id, query)
    query.ended = this.#run(query, statement)
    return query
  }

  all(): readonly Query[] {
    return [...this.#all.values()]
  }

  get(id: string): Query | undefined {
    return this.#all.get(id)
  }

  running(): number {
    return this.all().filter(({ status }) => status === 'RUNNING').length
  }

  /** As after 24 hours: the history knows the query, its result is gone. */
  expireResults(): void {
    for (const query of this.#all.values()) query.result = null
  }

  abort(query: Query): void {
    query.abort.abort(canceled())
  }

  /** What runs fails by the server's own fault, what has run is lost. */
  fail(): void {
    for (const query of this.#all.values()) query.abort.abort(new SqlFailure('000603', 'XX000', 'SQL execution internal error'))
    this.expireResults()
  }

  /** Newest first, as QUERY_HISTORY_BY_USER gives them. */
  withTag(tag: string): readonly Query[] {
    return this.all()
      .filter((query) => query.tag === tag)
      .reverse()
  }

  async #run(query: Query, statement: Statement): Promise<void> {
    try {
      const special = this.#systemFunction(statement)
      if (special !== null) {
        query.rowTypes = special.rowTypes
        query.result = special.result
      } else await this.#execute(query, statement)
      query.status = 'SUCCESS'
    } catch (error) {
      const { signal } = query.abort
      const { aborted } = signal
      query.failure = asSqlFailure(aborted ? signal.reason : error)
      query.status = aborted ? 'ABORTED' : 'FAILED_WITH_ERROR'
    }
  }

  async #execute(query: Query, { session, sessionId, maxChunkBytes, sql, bound }: Statement): Promise<void> {
    await this.#engine.connected(async (connection) => {
      const { signal } = query.abort
      const interrupt = (): void => connection.interrupt()
      const made = createdTable(sql)
      if (made?.temporary === true) session.temporary.set(made.name, `${made.name.slice(0, -1)} of ${sessionId}"`)
      const { statement, rowTypes, waitSeconds } = await prepareOne(connection, sql, session)
      if (made?.temporary === false && made.schema !== PLANNER_SCHEMA) {
        const words = `SQL access control error:\nInsufficient privileges to operate on schema '${made.schema}'.`
        throw new SqlFailure('003001', '42501', words)
      }
      bound.forEach((column, i) => statement.bindList(i + 1, listValue(column), LIST(VARCHAR)))
      query.rowTypes = rowTypes
      if (/\bfrom\b|^\s*insert\b/i.test(sql)) {
        if (session.warehouse === null) throw new SqlFailure('000606', '57P03', 'No active warehouse selected in the current session.')
        this.resumedBy.push(sql)
      }
      if (waitSeconds > 0) await pause(waitSeconds * 1000, undefined, { signal })
      signal.addEventListener('abort', interrupt)
      try {
        signal.throwIfAborted()
        query.result = await storeResult(statement, maxChunkBytes)
        signal.throwIfAborted()
      } finally {
        signal.removeEventListener('abort', interrupt)
      }
    })
  }

  #systemFunction({ sql }: Statement): { rowTypes: RowType[]; result: StoredResult } | null {
    const [, cancel] = /^\s*select\s+system\$cancel_query\('([^']*)'\)\s*$/i.exec(sql) ?? []
    if (cancel !== undefined) {
      const query = this.#all.get(cancel)
      if (query !== undefined) this.abort(query)
      return texts([query === undefined ? 'Identified SQL statement is not currently executing.' : 'query terminated.'])
    }
    if (!/query_history_by_user\s*\(/i.test(sql)) return null
    this.resumedBy.push(sql)
    const [, tag = ''] = /query_tag\s*=\s*'((?:[^']|'')*)'/i.exec(sql) ?? []
    return texts(this.withTag(tag.replaceAll("''", "'")).map(({ id }) => id))
  }
}

function texts(values: readonly string[]): { rowTypes: RowType[]; result: StoredResult } {
  const result = { rowset: values.map((value) => [value]), chunks: [], total: values.length }
  return { rowTypes: [{ name: 'TEXT', type: 'text', precision: null, scale: null }], result }
}

function canceled(): SqlFailure {
  return new SqlFailure('000604', '57014', 'SQL execution canceled')
}
