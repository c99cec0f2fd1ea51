import type { RowType } from './engine.ts'
import type { Query } from './queries.ts'
import type { StoredResult } from './results.ts'
import type { LiveSession, Refusal } from './sessions.ts'

/** Pure: the bodies of answers, all with HTTP status 200 as Snowflake gives them. */

export function ok(data: unknown): object {
  return { data, code: null, message: null, success: true }
}

export function failed({ code, message, ...more }: Refusal & { readonly sqlState?: string }, queryId?: string): object {
  const { sqlState = null } = more
  return {
    data: { errorCode: code, sqlState, queryId: queryId ?? null, internalError: false },
    code,
    message,
    success: false,
    headers: null,
  }
}

const VALIDITY = { validityInSeconds: 3600, masterValidityInSeconds: 14_400 }

export function loginAnswer({ id, token, masterToken, parameters }: LiveSession): object {
  return ok({ sessionId: id, token, masterToken, ...VALIDITY, parameters: listed(parameters), displayUserName: 'TAILRACE' })
}

export function renewalAnswer({ id, token, masterToken }: LiveSession): object {
  return ok({ sessionId: id, sessionToken: token, validityInSecondsST: 3600, masterToken, validityInSecondsMT: 14_400 })
}

export function asyncAnswer({ id }: Pick<Query, 'id'>, code: '333333' | '333334' = '333334'): object {
  const data = { queryId: id, getResultUrl: `/queries/${id}/result`, queryAbortsAfterSecs: 300, progressDesc: null }
  return { data, code, message: 'Query execution in progress. Asynchronous execution.', success: true }
}

/** The state of no query for one that was submitted this very moment or is not known. */
export function monitoringAnswer(query: Query | null): object {
  if (query === null) return ok({ queries: [] })
  const { id, sql, status, failure } = query
  const error = { errorCode: failure?.code ?? null, errorMessage: failure?.message ?? null }
  return ok({ queries: [{ id, status, state: status, sqlText: sql, ...error }] })
}

export function settingAnswer(): object {
  const rowTypes: RowType[] = [{ name: 'status', type: 'text', precision: null, scale: null }]
  const result = { rowset: [['Statement executed successfully.']], chunks: [], total: 1 }
  return ok(resultData({ id: '00000000-0000-0000-0000-000000000000', rowTypes, result }, null))
}

export interface Circumstances {
  readonly session: LiveSession
  readonly url: string
  readonly qrmk: string
}

type Answered = Pick<Query, 'id' | 'rowTypes'> & { readonly result: StoredResult }

export function resultAnswer(query: Answered, circumstances: Circumstances): object {
  return ok(resultData(query, circumstances))
}

function resultData({ id, rowTypes, result }: Answered, circumstances: Circumstances | null): object {
  const { rowset, chunks, total } = result
  const rowtype = rowTypes.map(({ name, type, precision, scale }) => ({
    ...{ name, database: '', schema: '', table: '', nullable: true, type, precision, scale },
    ...{ byteLength: null, length: null, collation: null },
  }))
  const offered = chunks.map(({ rowCount, uncompressedSize, body }, i) => ({
    ...{ url: `${circumstances?.url ?? ''}/chunks/${id}/${i}?sig=${id}`, rowCount, uncompressedSize, compressedSize: body.length },
  }))
  return {
    ...{ parameters: circumstances === null ? [] : listed(circumstances.session.parameters), rowtype, rowset, total, returned: total },
    ...{ queryId: id, databaseProvider: null, statementTypeId: 4096, version: 1, queryResultFormat: 'json', numberOfBinds: 0 },
    ...(offered.length === 0 ? {} : { chunks: offered, qrmk: circumstances?.qrmk }),
  }
}

function listed(parameters: ReadonlyMap<string, string>): object[] {
  return [...parameters].map(([name, value]) => ({ name, value }))
}
