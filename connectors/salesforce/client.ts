import type { RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { openHttp, type Http, type HttpRequest, type HttpResponse } from '../http.ts'
import { isObject } from '../json-object.ts'
import type { SalesforceConfig } from './config.ts'
import { parseJson } from './envelope.ts'
import { failureOf } from './failures.ts'
import { CONCURRENCY, DAILY_WAIT_MS } from './limits.ts'
import { openSessions, type Session } from './login.ts'
import { overShare, usageOf, type Usage } from './usage.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** After `/services/data/vNN.0`; starts with `/`, query included. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON; text and bytes as they are, with the content-type that `headers` name. */
  readonly body?: object | string | Buffer
  /** Instead of `body`: read as it is sent, and begun anew where the call is sent a second time. */
  readonly stream?: () => AsyncIterable<Buffer>
  /** Gets the body of a 2xx answer as it comes; `text` and `body` of the reply are empty then. */
  readonly receive?: (chunk: Buffer) => void
  /** Default: as configured. */
  readonly timeoutMs?: number
  readonly gate: RequestGate
  /** The call in words for messages, without values. */
  readonly what: string
  /** Whether it may change anything at Salesforce. */
  readonly writes: boolean
}

/** A 2xx answer, or a refusal of what was sent: 300, 400, 404, 409, 413, 414. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** The parsed text; undefined where it is no JSON. */
  readonly body: unknown
}

export interface SalesforceClient {
  /**
   * One call. Never retries, but for one: after a 401 with a new session, because a 401 applied nothing; that request asks the
   * gate anew. Throws ConnectorError for everything that is no Reply.
   */
  call(call: Call): Promise<Reply>
  /** Throws `throttled` while the org has used up our share of its daily calls. Asked before a batch or a job is begun. */
  withinShare(gate: RequestGate): Promise<void>
  /** What the last answer said of the org's daily calls. */
  usage(): Usage | null
  /** Host of the org's instance once there is a session, else of the log-in: for messages. */
  host(): string
  close(): Promise<void>
}

export function salesforceClient(config: SalesforceConfig): SalesforceClient {
  const { login, apiVersion, timeoutMs } = config
  const open = (baseUrl: string, host: string): Http =>
    // The address is the operator's own org, proxy or stand-in, so it may well be a private one.
    openHttp({ baseUrl, connections: CONCURRENCY, allowPrivateNetwork: true, label: `Salesforce (${host})` })
  const loginHttp = open(login.href, login.host)
  const sessions = openSessions({ config, http: loginHttp })
  const instances = new Map<string, Http>()
  let last: { readonly usage: Usage; readonly at: number } | null = null

  /** Transfers have connections of their own: an upload that looks records up on its way must not wait for one that it holds. */
  const instance = ({ instanceUrl }: Session, transfer: boolean): Http => {
    const key = `${instanceUrl}${transfer ? ' transfers' : ''}`
    const known = instances.get(key)
    if (known !== undefined) return known
    const http = open(instanceUrl, new URL(instanceUrl).host)
    instances.set(key, http)
    return http
  }

  const exchange = async (call: Call, session: Session): Promise<HttpResponse> => {
    const { method, path, gate, what, receive } = call
    const { body, json } = payloadOf(call)
    const headers = {
      authorization: `Bearer ${session.token}`,
      accept: 'application/json',
      'user-agent': 'tailrace',
      ...(json ? { 'content-type': 'application/json' } : {}),
      ...call.headers,
    }
    const url = `/services/data/v${apiVersion}${path}`
    const request = {
      method,
      path: url,
      headers,
      timeoutMs: call.timeoutMs ?? timeoutMs,
      gate,
      what,
      ...(body === undefined ? {} : { body }),
    }
    const response = await instance(session, call.stream !== undefined || receive !== undefined)
      .request({ ...request, ...(receive === undefined ? {} : { receive }) })
      .catch((error: unknown) => {
        if (!call.writes && error instanceof ConnectorError && error.kind === 'in_doubt')
          throw new ConnectorError('unreachable', error.message, { cause: error, ...(error.code === null ? {} : { code: error.code }) })
        throw error
      })
    const usage = usageOf(response.headers)
    if (usage !== null) last = { usage, at: performance.now() }
    return response
  }

  const call = async (given: Call): Promise<Reply> => {
    if (given.gate.signal.aborted) throw new ConnectorError('cancelled', 'Salesforce: cancelled before the request was sent')
    const session = await sessions.current()
    const first = await exchange(given, session)
    const response = first.status === 401 ? await exchange(given, await sessions.renewed(session)) : first
    const reply = { ...response, body: parseJson(response.text) }
    const failure = failureOf(reply, given)
    if (failure !== null) throw failure
    return reply
  }

  return {
    call,
    async withinShare(gate) {
      if (last !== null && !overShare(last.usage, config.dailyRequestShare)) return
      if (last !== null && performance.now() - last.at < DAILY_WAIT_MS) throw shareReached(last.usage, config)
      const { body } = await call({ method: 'GET', path: '/limits', gate, what: 'the limits of the org', writes: false })
      const usage = dailyUsage(body)
      if (usage === null) return
      last = { usage, at: performance.now() }
      if (overShare(usage, config.dailyRequestShare)) throw shareReached(usage, config)
    },
    usage: () => last?.usage ?? null,
    host: () => [...instances.keys()].map((key) => new URL(key.replace(/ .*/, '')).host).at(-1) ?? login.host,
    async close() {
      await Promise.all([loginHttp, ...instances.values()].map((http) => http.close()))
    },
  }
}

function payloadOf({ body, stream }: Call): { readonly body: HttpRequest['body']; readonly json: boolean } {
  if (stream !== undefined) return { body: stream(), json: false }
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return { body, json: false }
  return { body: JSON.stringify(body), json: true }
}

/** `DailyApiRequests` of `/limits`, which says what is left. */
function dailyUsage(body: unknown): Usage | null {
  const daily = isObject(body) ? body['DailyApiRequests'] : null
  if (!isObject(daily)) return null
  const [allowed, remaining] = [Number(daily['Max']), Number(daily['Remaining'])]
  return allowed > 0 && remaining >= 0 ? { allowed, used: allowed - remaining } : null
}

function shareReached({ used, allowed }: Usage, { dailyRequestShare }: SalesforceConfig): ConnectorError {
  const share = Math.round(dailyRequestShare * 1_000) / 10
  return new ConnectorError(
    'throttled',
    `Salesforce: ${used} of the org's ${allowed} daily API calls are used, which is dailyRequestShare (${share} %)`,
    {
      code: 'DAILY_REQUEST_SHARE',
      retryAfterMs: DAILY_WAIT_MS,
    },
  )
}
