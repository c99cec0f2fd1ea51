import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gunzip, gunzipSync } from 'node:zlib'
import { alterSession } from './dialect.ts'
import { Engine } from './engine.ts'
import { Faults, type Fault, type Place } from './faults.ts'
import { Queries, type Query } from './queries.ts'
import { shortened } from './results.ts'
import { makeCredentials, Sessions, type LiveSession, type Refusal } from './sessions.ts'
import { asyncAnswer, failed, loginAnswer, ok, renewalAnswer, resultAnswer, monitoringAnswer, settingAnswer } from './answers.ts'

const NAMES = {
  account: 'TESTORG-TESTACCT',
  user: 'TAILRACE',
  role: 'TAILRACE_ROLE',
  warehouse: 'TAILRACE_WH',
  database: 'ANALYTICS',
  schema: 'PUBLIC',
}

/** Longer than this no request waits for a query: it is answered `in progress`. */
const PATIENCE_MS = 1000

const QRMK = Buffer.alloc(32, 9).toString('base64')

export type StandIn = Awaited<ReturnType<typeof startSnowflake>>

/** Snowflake's side of its driver's protocol on loopback, over a DuckDB; STAND-IN.md says which behaviour comes from where. */
export async function startSnowflake({ port = 0 }: { port?: number } = {}) {
  const engine = await Engine.open(NAMES)
  const credentials = makeCredentials('a passphrase of the tests')
  const sessions = new Sessions(credentials, NAMES)
  const queries = new Queries(engine)
  const faults = new Faults()
  const seen = { telemetry: 0, chunks: 0, environments: [] as unknown[] }
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    const place = placeOf(pathname)
    const fault = place === null ? null : faults.take(place)
    const body = await read(request)
    if (fault?.does === 'drop') return void request.socket.destroy()
    if (fault?.does === 'status') return void response.writeHead(fault.status ?? 503).end('<html>no</html>')
    if (place === 'chunk') return sendChunk(request, response, pathname, searchParams, fault)
    if (pathname === '/oauth/token') {
      sendToken(response, body)
      return
    }
    const answer = await answerTo(request, pathname, searchParams, body, fault)
    if (fault?.does === 'lost_answer') return void request.socket.destroy()
    if (answer === null) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  async function answerTo(
    request: IncomingMessage,
    path: string,
    parameters: URLSearchParams,
    body: Buffer,
    fault: Fault | null,
  ): Promise<object | null> {
    const input = body.length === 0 ? {} : (JSON.parse(body.toString()) as Record<string, unknown>)
    if (path === '/session/v1/login-request') return login(input, parameters)
    const { authorization } = request.headers
    if (path === '/session/token-request') {
      const renewed = sessions.renew(authorization)
      return 'code' in renewed ? failed(renewed) : renewalAnswer(renewed)
    }
    const session = sessions.find(authorization)
    if ('code' in session) return failed(session)
    if (fault?.does === 'expired') {
      session.expired = true
      return failed({ code: '390112', message: 'Your session has expired. Please login again.' })
    }
    return inSession(session, path, parameters, input)
  }

  function sendToken(response: ServerResponse, body: Buffer): void {
    const form = new URLSearchParams(body.toString())
    const token = sessions.issueAccessToken(form.get('client_id') ?? '', form.get('client_secret') ?? '')
    const answer = token === null ? { error: 'invalid_client' } : { access_token: token, token_type: 'Bearer', expires_in: 600 }
    response.writeHead(token === null ? 401 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  function login(input: Record<string, unknown>, parameters: URLSearchParams): object {
    const data = (input['data'] ?? {}) as Record<string, unknown>
    const text = (name: string): string => (typeof data[name] === 'string' ? data[name] : '')
    seen.environments.push(data['CLIENT_ENVIRONMENT'])
    const session = sessions.login({
      ...{ accountName: text('ACCOUNT_NAME'), loginName: text('LOGIN_NAME'), authenticator: text('AUTHENTICATOR'), token: text('TOKEN') },
      ...{
        warehouse: parameters.get('warehouse'),
        database: parameters.get('databaseName') ?? '',
        schema: parameters.get('schemaName') ?? '',
      },
      ...{ role: parameters.get('roleName') ?? '', parameters: (data['SESSION_PARAMETERS'] ?? {}) as Record<string, string> },
    })
    return 'code' in session ? failed(session) : loginAnswer(session)
  }

  async function inSession(
    session: LiveSession,
    path: string,
    parameters: URLSearchParams,
    input: Record<string, unknown>,
  ): Promise<object | null> {
    const [, folder, id, verb] = path.split('/')
    if (path === '/telemetry/send') return ok({ counted: (seen.telemetry += 1) })
    if (path === '/session/heartbeat') return ok(null)
    if (path === '/session' && parameters.get('delete') === 'true') return endSession(session)
    if (path === '/queries/v1/query-request') return submit(session, input, parameters.get('requestId') ?? '')
    if (path === '/queries/v1/abort-request') return abort(queries.all().find(({ requestId }) => requestId === input['requestId']))
    const query = queries.get(id === 'queries' ? (verb ?? '') : (id ?? ''))
    if (folder === 'monitoring') return monitoringAnswer(query !== undefined && ++query.polls > 1 ? query : null)
    if (folder === 'queries' && verb === 'abort-request') return abort(query)
    if (folder === 'queries' && verb === 'result') return query === undefined ? failed(expired(id ?? '')) : resultOf(query, session)
    return null
  }

  function endSession(session: LiveSession): object {
    sessions.end(session)
    for (const query of queries.all()) if (query.sessionId === session.id && query.status === 'RUNNING') queries.abort(query)
    return ok(null)
  }

  function abort(query: Query | undefined): object {
    if (query !== undefined) queries.abort(query)
    return ok(null)
  }

  async function submit(session: LiveSession, input: Record<string, unknown>, requestId: string): Promise<object> {
    const sql = typeof input['sqlText'] === 'string' ? input['sqlText'] : ''
    const set = alterSession(sql)
    if (set !== null) {
      for (const [name, value] of set) session.parameters.set(name, value)
      return settingAnswer()
    }
    if (input['describeOnly'] === true) {
      try {
        return resultAnswer(
          { id: requestId, rowTypes: await engine.describe(sql, session), result: { rowset: [], chunks: [], total: 0 } },
          { session, url, qrmk: QRMK },
        )
      } catch (error) {
        return failed(error as Refusal)
      }
    }
    const own = (input['parameters'] ?? {}) as Record<string, string>
    const bound = Object.values((input['bindings'] ?? {}) as Record<string, { value: (string | null)[] }>).map(({ value }) => value)
    const query = queries.submit({
      bound,
      ...{ sql, session, sessionId: session.id, requestId, asynchronous: input['asyncExec'] === true },
      tag: own['QUERY_TAG'] ?? session.parameters.get('QUERY_TAG') ?? '',
      maxChunkBytes: Number(session.parameters.get('CLIENT_RESULT_CHUNK_SIZE') ?? 160) * 1024 * 1024,
    })
    return query.asynchronous ? asyncAnswer(query) : resultOf(query, session)
  }

  async function resultOf(query: Query, session: LiveSession): Promise<object> {
    await Promise.race([query.ended, pause(PATIENCE_MS, undefined, { ref: false })])
    if (query.status === 'RUNNING') return asyncAnswer(query, '333333')
    if (query.failure !== null) return failed(query.failure, query.id)
    const { result } = query
    if (result === null) return failed(expired(query.id), query.id)
    return resultAnswer({ ...query, result }, { session, url, qrmk: QRMK })
  }

  async function sendChunk(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    parameters: URLSearchParams,
    fault: Fault | null,
  ): Promise<void> {
    const [, , id = '', index = ''] = path.split('/')
    const chunk = queries.get(id)?.result?.chunks[Number(index)]
    const signed = parameters.get('sig') === id && request.headers['x-amz-server-side-encryption-customer-key'] === QRMK
    if (chunk === undefined || !signed) return void response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error/>')
    seen.chunks++
    const headers = { 'content-encoding': 'gzip', 'content-type': 'binary/octet-stream' }
    if (fault?.does === 'empty') return void response.writeHead(200, { 'content-type': 'binary/octet-stream' }).end()
    if (fault?.does === 'malformed') return void response.writeHead(200, { 'content-type': 'binary/octet-stream' }).end('["1","x"],["2"')
    const body = fault?.does === 'short' ? await shortened(chunk.body, promisify(gunzip)) : chunk.body
    response.writeHead(200, { ...headers, 'content-length': body.length })
    if (fault?.does !== 'cut') return void response.end(body)
    response.write(body.subarray(0, body.length >> 1), () => request.socket.destroy())
  }

  const key = { privateKey: credentials.privateKey, privateKeyPassphrase: credentials.passphrase }
  const base = {
    accessUrl: url,
    account: NAMES.account,
    username: NAMES.user,
    database: NAMES.database,
    schema: NAMES.schema,
    warehouse: NAMES.warehouse,
    role: NAMES.role,
  }
  const { token, clientId, clientSecret } = credentials
  return {
    url,
    /** Texts that must show nowhere. */
    secrets: [token, clientSecret, credentials.passphrase, credentials.privateKey.split('\n')[2] ?? ''],
    /** A source's configuration for it, by way of coming in. */
    config: {
      keyPair: { ...base, ...key },
      token: { ...base, token },
      oauth: { ...base, oauth: { clientId, clientSecret, tokenUrl: `${url}/oauth/token` } },
    },
    /** Statements of a test's set-up, in DuckDB's words. */
    set: (sql: string): Promise<void> => engine.set(sql),
    ask: (sql: string): Promise<string[][]> => engine.ask(sql),
    fault: (fault: Fault): void => faults.add(fault),
    /** Ends everything as a failing server would: queries with an error of its own, sessions, results. */
    fail(): void {
      queries.fail()
      sessions.endAll()
    },
    /** As after 24 hours: the history knows the queries, their results are gone. */
    expireResults: (): void => queries.expireResults(),
    report() {
      const shown = ({ id, sql, tag, status, asynchronous, rowTypes }: Query) => ({
        id,
        sql,
        tag,
        status,
        asynchronous,
        types: rowTypes.map(({ type }) => type),
      })
      return {
        ...seen,
        queries: queries.all().map(shown),
        running: queries.running(),
        resumedBy: queries.resumedBy,
        sessions: sessions.open,
        logins: sessions.logins,
      }
    },
    async close(): Promise<void> {
      for (const query of queries.all()) queries.abort(query)
      await Promise.all(queries.all().map(({ ended }) => ended))
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      engine.close()
    },
  }
}

function placeOf(path: string): Place | null {
  if (path === '/session/v1/login-request') return 'login'
  if (path === '/session/token-request') return 'token'
  if (path === '/queries/v1/query-request') return 'query'
  if (path.startsWith('/monitoring/')) return 'monitoring'
  if (path.startsWith('/chunks/')) return 'chunk'
  return path.endsWith('/result') ? 'result' : null
}

function expired(id: string): Refusal & { sqlState: string } {
  return { code: '000710', sqlState: '02000', message: `Result for query ${id} has expired` }
}

/** The driver says gzip in the header of what it may or may not have compressed. */
async function read(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
  const body = Buffer.concat(pieces)
  return body[0] === 0x1f && body[1] === 0x8b ? gunzipSync(body) : body
}
