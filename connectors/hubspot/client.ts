import type { RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { Http, HttpResponse } from '../http.ts'
import { parseObject, textAt, type JsonObject } from '../json-object.ts'
import { failureOf } from './failures.ts'
import type { Tokens } from './oauth.ts'
import { grantedRate, pauseOf, untilReset } from './throttle.ts'

export interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
  readonly gate: RequestGate
  /** The call in words for messages, without values. */
  readonly what: string
  /** Whether it may change anything at HubSpot. */
  readonly writes: boolean
}

/** A 2xx answer (204: no body), or a refusal of the records: 400, 404, 409, 413, 422. */
export interface Reply {
  readonly status: number
  readonly body: JsonObject | null
}

export interface HubspotClient {
  /**
   * One call. Never retries, but for one: after a 401 under OAuth with a renewed token, because a 401 applied nothing; that
   * request asks the gate anew. Throws ConnectorError for everything that is no Reply.
   */
  call(call: Call): Promise<Reply>
  close(): Promise<void>
}

/** `requestsPerSecond`: what the operator allows at most; null: what the account's headers allow. */
export function hubspotClient({
  http,
  tokens,
  timeoutMs,
  requestsPerSecond,
}: {
  http: Http
  tokens: Tokens
  timeoutMs: number
  requestsPerSecond: number | null
}): HubspotClient {
  let timeZone: string | null = null

  const exchange = async (call: Call, token: string): Promise<HttpResponse> => {
    const { method, path, body, gate, what } = call
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'application/json',
      'content-type': 'application/json',
      'user-agent': 'tailrace',
    }
    const payload = body === undefined ? {} : { body: JSON.stringify(body) }
    const response = await http.request({ method, path, headers, timeoutMs, gate, what, ...payload }).catch((error: unknown) => {
      if (!call.writes && error instanceof ConnectorError && error.kind === 'in_doubt') {
        throw new ConnectorError('unreachable', error.message, { cause: error, ...(error.code === null ? {} : { code: error.code }) })
      }
      throw error
    })
    const granted = grantedRate(response.headers)
    if (granted !== null) gate.allow({ requestsPerSecond: Math.min(granted, requestsPerSecond ?? granted) })
    return response
  }

  const authorized = async (call: Call): Promise<HttpResponse> => {
    const token = await tokens.current()
    const response = await exchange(call, token)
    if (response.status !== 401) return response
    const renewed = await tokens.renewed(token)
    return renewed === null ? response : exchange(call, renewed)
  }

  /** Asked for only when the daily limit is reached, and then perhaps refused by that same limit: null. */
  const accountTimeZone = async (gate: RequestGate): Promise<string | null> => {
    if (timeZone !== null) return timeZone
    try {
      const response = await authorized({
        method: 'GET',
        path: '/account-info/v3/details',
        gate,
        what: 'the account details',
        writes: false,
      })
      timeZone = response.status === 200 ? textAt(parseObject(response.text), 'timeZone') : null
    } catch (error) {
      if (!(error instanceof ConnectorError)) throw error
    }
    return timeZone
  }

  return {
    async call(call) {
      const { status, headers, text } = await authorized(call)
      const body = parseObject(text)
      const pause = pauseOf(status, headers, body, Date.now())
      if (pause !== null && 'daily' in pause) {
        const wait = untilReset(Date.now(), await accountTimeZone(call.gate))
        throw new ConnectorError('throttled', `HubSpot answered ${status} to ${call.what}: the account's daily limit is used up`, {
          code: 'DAILY',
          retryAfterMs: wait,
        })
      }
      if (pause !== null) {
        throw new ConnectorError('throttled', `HubSpot answered ${status} to ${call.what}: ${pause.why}`, {
          code: String(status),
          retryAfterMs: pause.ms,
        })
      }
      const failure = failureOf({ status, body, foreign: body === null && text !== '', what: call.what, writes: call.writes })
      if (failure !== null) throw failure
      return { status, body }
    },
    close: () => http.close(),
  }
}
