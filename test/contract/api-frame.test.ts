import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NoWorkerError } from '../../activities/launch/inspect.ts'
import { RunWatch } from '../../server/api/run-watch.ts'
import { TokenStore } from '../../server/api/tokens.ts'
import { CliError } from '../../server/cli/exit.ts'
import { insertRun, insertSync, startApi, type ApiFixture } from './api-fixture.ts'

const ROUTES = [
  'POST /v1/config/validate',
  'POST /v1/config/plan',
  'POST /v1/config/apply',
  ...['sources', 'models', 'destinations', 'syncs'].flatMap((kind) => [
    `GET /v1/${kind}`,
    `GET /v1/${kind}/{name}`,
    `PUT /v1/${kind}/{name}`,
    `DELETE /v1/${kind}/{name}`,
  ]),
  'POST /v1/syncs/{name}/runs',
  'GET /v1/runs',
  'GET /v1/runs/{id}',
  ...['cancel', 'pause', 'resume', 'approve', 'reject'].map((verb) => `POST /v1/runs/{id}/${verb}`),
  'GET /v1/runs/{id}/changes',
  'GET /v1/syncs/{name}/rejections',
  'POST /v1/syncs/{name}/rejections/retry',
  'POST /v1/syncs/{name}/preview',
  'GET /v1/syncs/{name}/records/{key}',
  'POST /v1/sources/{name}/check',
  'POST /v1/destinations/{name}/check',
  'GET /v1/doctor',
]

describe('the API without tokens', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  test('describes every route in OpenAPI 3.1, and documents it at /docs', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    assert.equal(body['openapi'], '3.1.0')
    const paths = body['paths'] as Record<
      string,
      Record<string, { responses?: object; parameters?: { name: string; in: string; schema?: object }[] }>
    >
    const listed = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    assert.deepEqual(
      ROUTES.filter((route) => !listed.includes(route)),
      [],
    )
    for (const [path, methods] of Object.entries(paths)) {
      for (const operation of Object.values(methods)) {
        assert.ok(Object.keys(operation.responses ?? {}).length > 0, path)
        const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name)
        assert.deepEqual(
          declared,
          [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
          path,
        )
      }
    }
    const docs = await api.call('GET', '/docs/')
    assert.match(docs.text, /swagger/i)
    assert.doesNotMatch(String(docs.headers['content-security-policy']), /upgrade-insecure-requests/)
    assert.match(String(docs.headers['content-security-policy']), /script-src 'self'/)
  })

  test('answers what is wrong as problem+json with a request id', async () => {
    for (const [method, url, status, code] of [
      ['GET', '/nowhere', 404, 'not_found'],
      ['GET', '/v1/runs/%zz', 400, 'url'],
      ['GET', '/v1/runs?limit=0', 400, 'validation'],
      ['GET', '/v1/sources?cursor=x', 400, 'validation'],
      ['DELETE', '/v1/runs', 404, 'not_found'],
    ] as const) {
      const { status: answered, headers, body } = await api.call(method, url)
      assert.deepEqual(
        [answered, headers['content-type'], body['status'], body['code'], body['type']],
        [status, 'application/problem+json', status, code, `urn:tailrace:problem:${code}`],
      )
      assert.match(String(body['requestId']), /^[0-9a-f-]{36}$/)
      assert.equal(typeof body['title'], 'string')
      if (code === 'validation') assert.match(String((body['errors'] as { pointer: string }[])[0]?.pointer), /^\/(limit|cursor)$/)
    }
    const post = (payload: string, type: string) => api.call('POST', '/v1/syncs/s/runs', { payload, headers: { 'content-type': type } })
    const [json, media, large] = [
      await post('{"full": tru', 'application/json'),
      await post('full', 'text/plain'),
      await post(`{"x":"${'x'.repeat(2 ** 20)}"}`, 'application/json'),
    ]
    assert.deepEqual([json.status, json.body['detail']], [400, 'the body is not valid JSON'])
    assert.deepEqual([media.status, large.status], [415, 413])
  })

  // A client that always names its content type could not cancel a run.
  test('takes nothing as no body, whatever type it is said to be', async () => {
    const nothing = { payload: '', headers: { 'content-type': 'application/json' } }
    await insertSync(api, 'nothing')
    const started = await api.call('POST', '/v1/syncs/nothing/runs', nothing)
    assert.equal(started.status, 202, started.text)
    assert.equal((await api.call('POST', `/v1/runs/${String(started.body['id'])}/cancel`, nothing)).status, 202)
    const { status, body } = await api.call('POST', '/v1/config/plan', nothing)
    assert.deepEqual([status, body['code']], [400, 'validation'])
  })

  test('answers what is no HTTP request as a problem as well', async () => {
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.server.address() as AddressInfo
    for (const [sent, status, code] of [
      ['what\r\n\r\n', 400, 'http'],
      [`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'too_large'],
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      socket.write(sent)
      const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} .*application/problem\\+json`, 's'))
      const problem = JSON.parse(body) as Record<string, unknown>
      assert.deepEqual([problem['status'], problem['code'], typeof problem['requestId']], [status, code, 'string'])
    }
  })

  test('hides what it did not foresee and logs it; says what is away', async () => {
    await insertSync(api, 'p')
    api.worker.answer = () => Promise.reject(new Error('secret details'))
    const failed = await api.call('POST', '/v1/syncs/p/preview')
    assert.equal(failed.status, 500)
    assert.doesNotMatch(failed.text, /secret details/)
    assert.match(api.log(), /secret details/)
    assert.match(api.log(), new RegExp(String(failed.body['requestId'])))
    api.worker.answer = () => Promise.reject(new NoWorkerError('no worker answered'))
    const alone = await api.call('POST', '/v1/syncs/p/preview')
    assert.deepEqual([alone.status, alone.body['code'], alone.headers['retry-after']], [503, 'no_worker', '5'])
  })

  test('says that the state database was not migrated', async () => {
    await api.db.query('alter table idempotency_key rename to elsewhere')
    const { status, body } = await api.call('POST', '/v1/syncs/p/runs', { headers: { 'idempotency-key': 'k' } })
    await api.db.query('alter table elsewhere rename to idempotency_key')
    assert.deepEqual([status, body['code']], [503, 'schema'])
    assert.match(String(body['detail']), /tailrace migrate/)
  })

  test('logs and counts requests by route pattern, never by URL', async () => {
    await insertSync(api, 'quiet', ['text'])
    await api.call('GET', '/v1/syncs/quiet/records/zoe%40example.com')
    await api.call('GET', '/zoe%40example.com?key=zoe@example.com')
    const lines = api.log()
    assert.match(lines, /"route":"\/v1\/syncs\/:name\/records\/:key","status":404/)
    assert.match(lines, /"route":"unknown","status":404/)
    const metrics = await api.metrics.registry.metrics()
    assert.match(
      metrics,
      /tailrace_http_request_duration_seconds_count\{method="GET",route="\/v1\/syncs\/:name\/records\/:key",status_class="4xx"\} 1/,
    )
    assert.match(metrics, /tailrace_runs\{state="delivering"\} 0/)
    for (const text of [lines, metrics]) assert.doesNotMatch(text, /zoe/)
  })

  test('pages of other origins are kept out', async () => {
    const from = async (headers: Record<string, string>) => (await api.call('GET', '/v1/runs', { headers })).status
    assert.equal(await from({ host: 'rebound.example.com:8080' }), 403)
    assert.equal(await from({ host: 'localhost:8080', origin: 'https://example.com' }), 403)
    assert.equal(await from({ host: 'localhost:8080', origin: 'http://localhost:8080' }), 200)
    assert.equal(await from({ host: '[::1]:8080' }), 200)
  })

  test('checks go to a worker, doctor tells of all', async () => {
    for (const kind of ['Source', 'Destination'])
      await api.db.query(`insert into resource (kind, name, spec) values ($1, 'x', '{}')`, [kind])
    api.worker.answer = async (request) =>
      request.kind === 'source-check' ? { ok: true, detail: 'reached' } : { ok: false, detail: 'token refused' }
    assert.deepEqual((await api.call('POST', '/v1/sources/x/check')).body, { ok: true, detail: 'reached' })
    assert.equal((await api.call('POST', '/v1/destinations/y/check')).status, 404)
    const { body } = await api.call('GET', '/v1/doctor')
    assert.deepEqual(
      (body as unknown as { name: string; ok: boolean }[]).map(({ name, ok }) => [name, ok]),
      [
        ['database', true],
        ['temporal', true],
        ['destination x', false],
        ['source x', true],
      ],
    )
  })

  test('whoever waits for a run hears of its change', async () => {
    const watch = new RunWatch(api.db)
    const { id } = await insertRun(api, { sync: 'p' })
    const given = new AbortController()
    const heard = watch.next(id, 600_000, given.signal).then(() => 'heard')
    const notify = async (): Promise<null> => {
      await api.db.query(`select pg_notify('tailrace_run', $1)`, [id])
      return sleep(10, null)
    }
    let outcome: string | null = null
    for (let tries = 0; tries < 500 && outcome === null; tries++) outcome = await Promise.race([heard, notify()])
    assert.equal(outcome, 'heard')
    await watch.close()
  })
})

describe('the API with tokens', () => {
  let api: ApiFixture
  let folder = ''
  let file = ''
  const sha = (token: string) => createHash('sha256').update(token).digest('hex')
  const entry = (name: string, token: string, scopes: string) => `- { name: ${name}, sha256: ${sha(token)}, scopes: [${scopes}] }\n`

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-tokens-'))
    file = join(folder, 'tokens.yaml')
    await writeFile(file, entry('reader', 'read-me', 'runs:read') + entry('planner', 'plan-me', 'config:read'))
    api = await startApi({ tokens: await TokenStore.open({ token: 'all-of-it', file }) })
    await insertSync(api, 's')
  })
  after(async () => {
    await api.stop()
    await rm(folder, { recursive: true })
  })

  const as = async (token: string | null, method: 'GET' | 'POST', url: string, payload?: object) =>
    (
      await api.call(method, url, {
        headers: { host: 'tailrace.example.com', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
        ...(payload ? { payload } : {}),
      })
    ).status

  test('asks for a known one everywhere', async () => {
    for (const path of ['/v1/runs', '/openapi.json', '/docs/', '/nowhere']) {
      assert.equal(await as(null, 'GET', path), 401, path)
      assert.equal(await as('wrong', 'GET', path), 401, path)
      assert.notEqual(await as('all-of-it', 'GET', path), 401, path)
    }
    const { headers, body } = await api.call('GET', '/v1/runs')
    assert.deepEqual([headers['www-authenticate'], headers['content-type'], body['code']], ['Bearer', 'application/problem+json', 'token'])
  })

  test('lets each do what its scopes say', async () => {
    assert.equal(await as('read-me', 'GET', '/v1/runs'), 200)
    assert.equal(await as('read-me', 'GET', '/openapi.json'), 200)
    assert.equal(await as('read-me', 'POST', '/v1/syncs/s/runs'), 403)
    assert.equal(await as('read-me', 'GET', '/v1/syncs/s/rejections'), 403)
    assert.equal(await as('all-of-it', 'POST', '/v1/syncs/s/runs'), 202)
    assert.equal(await as('plan-me', 'POST', '/v1/config/plan', { documents: [] }), 200)
    assert.equal(await as('plan-me', 'POST', '/v1/config/plan', { documents: [], connect: true }), 403)
  })

  test('reads the file again when it changes, and lets nobody of it in while it is broken', async () => {
    await writeFile(file, entry('reader', 'other', 'runs:read'))
    assert.deepEqual([await as('read-me', 'GET', '/v1/runs'), await as('other', 'GET', '/v1/runs')], [401, 200])
    await writeFile(file, 'not: a list')
    assert.equal(await as('other', 'GET', '/v1/runs'), 503)
    await writeFile(file, entry('reader', 'read-me', 'runs:read'))
    assert.equal(await as('read-me', 'GET', '/v1/runs'), 200)
  })

  test('says at the start what is wrong with the file, without quoting it', async () => {
    for (const [content, rule] of [
      ['- { name: a, sha256: abc, scopes: [] }', /entry 1 \(a\) needs sha256/],
      [entry('a', 't', 'everything'), /names a scope that is none of config:read/],
      ['{ s3cret', /not valid YAML/],
    ] as const) {
      await writeFile(file, content)
      await assert.rejects(
        TokenStore.open({ token: null, file }),
        (error) => error instanceof CliError && error.exitCode === 78 && rule.test(error.message) && !error.message.includes('s3cret'),
      )
    }
    await assert.rejects(TokenStore.open({ token: null, file: join(folder, 'none') }), /cannot be read \(ENOENT\)/)
  })
})
