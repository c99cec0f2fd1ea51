import type { RecordOutcome } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { retryAfterMs } from '../http-errors.ts'
import type { HttpResponse } from '../http.ts'

/** Not applied, to be tried again later: Request Timeout, Locked, Too Early, Too Many Requests. */
const LATER = new Set([408, 423, 425, 429])
/** The request's content is at fault: the batch is split until the bad record stands alone. */
const CONTENT = new Set([400, 409, 413, 422])

/**
 * What a receiver's answer says about the records with these `ids`. Pure. 2xx accepts all of them, except where its `results` say
 * otherwise; `results` that cannot be understood leave the outcome open (`in_doubt`), because a refusal may be in them. Throws
 * ConnectorError for the batch as a whole. `label` names the receiver; `now` is epoch milliseconds.
 */
export function readAnswer(answer: HttpResponse, ids: readonly string[], label: string, now: number): RecordOutcome[] {
  const { status } = answer
  if (status >= 200 && status < 300) return accepted(answer.text, ids, label)
  const wait = retryAfterMs(answer.headers['retry-after'], now)
  const extra = { code: String(status), ...(wait === null ? {} : { retryAfterMs: wait }) }
  if (LATER.has(status)) throw new ConnectorError('throttled', `${label} asks to try again later (HTTP ${status})`, extra)
  if (status >= 500) throw new ConnectorError('in_doubt', `${label} failed (HTTP ${status}); the batch may have been applied`, extra)
  if (CONTENT.has(status)) {
    const [only] = ids
    if (ids.length > 1 || only === undefined) throw new ConnectorError('refused', `${label} refused the batch (HTTP ${status})`, extra)
    const message = `the receiver refused the record on its own (HTTP ${status})`
    return [{ id: only, status: 'rejected', class: 'data', code: `http_${status}`, field: null, message }]
  }
  if (status === 401 || status === 403)
    throw new ConnectorError('auth', `${label} does not accept the request's credentials (HTTP ${status})`, extra)
  if (status === 410) throw new ConnectorError('gone', `${label} is closed for good (HTTP 410)`, extra)
  if (status < 400)
    throw new ConnectorError(
      'destination',
      `${label} answered with a redirect (HTTP ${status}), which is not followed; set the final address`,
      extra,
    )
  throw new ConnectorError('destination', `${label} refused the request (HTTP ${status})`, extra)
}

const MAX_MESSAGE = 500

function accepted(text: string, ids: readonly string[], label: string): RecordOutcome[] {
  const results = resultsOf(text)
  if (results === 'unreadable')
    throw new ConnectorError('in_doubt', `${label} accepted the batch with results that cannot be read`, { code: 'results' })
  const told = new Map<string, RecordOutcome>()
  for (const result of results) {
    const outcome = single(result)
    if (outcome === null) continue
    const before = told.get(outcome.id)
    told.set(outcome.id, before === undefined || before.status === outcome.status ? outcome : { id: outcome.id, status: 'in_doubt' })
  }
  return ids.map((id) => told.get(id) ?? { id, status: 'delivered' })
}

/** Entries of `results`; empty where the answer carries none, which is the receiver's right. */
function resultsOf(text: string): readonly unknown[] | 'unreadable' {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return /"results"\s*:/.test(text) ? 'unreadable' : []
  }
  if (typeof body !== 'object' || body === null || !('results' in body)) return []
  return Array.isArray(body.results) ? body.results : 'unreadable'
}

function single(result: unknown): RecordOutcome | null {
  if (typeof result !== 'object' || result === null || !('id' in result) || typeof result.id !== 'string') return null
  const { id } = result
  const status = 'status' in result ? result.status : undefined
  const said = 'message' in result && typeof result.message === 'string' ? result.message.slice(0, MAX_MESSAGE) : ''
  if (status === 'ok') return { id, status: 'delivered' }
  if (status === 'retry') return { id, status: 'retry', message: said === '' ? 'the receiver asks for a repeat' : said }
  if (status !== 'rejected') return { id, status: 'in_doubt' }
  return {
    id,
    status: 'rejected',
    class: 'data',
    code: 'rejected',
    field: null,
    message: said === '' ? 'the receiver gave no reason' : said,
  }
}
