import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { describe, it } from 'node:test'
import { Webhook } from 'standardwebhooks'
import type { PlannedRecord } from '../../connectors/contract.ts'
import { webhook } from '../../connectors/webhook/index.ts'
import { webhookStandIn } from '../../connectors/webhook/stand-in.ts'
import { connectorError, countingGate, openBench, requestFor, type DestinationFixture } from './destination-fixture.ts'
import { destinationSuite } from './destination-suite.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

function planned(id: string, key: string, fields: string, op: 'upsert' | 'delete' = 'upsert'): PlannedRecord {
  return { id, op, line: `{"id":${JSON.stringify(id)},"op":"${op}","key":${JSON.stringify(key)},"fields":${fields}}` }
}

const fixture: DestinationFixture = {
  connector: webhook,
  standIn: () => webhookStandIn({ secret: SECRET }),
  config: (url) => ({
    url,
    secret: SECRET,
    timeoutSeconds: 1,
    allowPrivateNetwork: true,
    headers: { authorization: 'Bearer header-secret' },
  }),
  secrets: [SECRET, 'MfKQ9r8GKYqr', 'header-secret'],
  object: '',
  match: null,
  record: (n) => planned(`version-1-${n}`, String(n), `{"name":"private-${n}"}`),
  changed: (n) => planned(`version-2-${n}`, String(n), `{"name":"private-${n}-b"}`),
  bad(n, standIn) {
    standIn.configure?.({ reject: [String(n)] })
    return planned(`version-1-${n}`, String(n), `{"name":"private-${n}"}`)
  },
  writes: { method: 'POST', path: '/' },
  silent: { body: { results: [{ id: 'unknown', status: 'rejected' }] }, means: 'delivered' },
  throttles: [
    { answer: { status: 429, headers: { 'retry-after': '7' } }, waitMs: [7000, 7000] },
    { answer: { status: 429, headers: { 'retry-after': new Date(Date.now() + 600_000).toUTCString() } }, waitMs: [300_000, 600_000] },
    { answer: { status: 423, headers: { 'retry-after': '99999999' } }, waitMs: [86_400_000, 86_400_000] },
  ],
  refusal: { status: 422, body: { error: 'private-1 is wrong' } },
  values: [
    { field: 'big', kind: 'integer', text: '9223372036854775807', stored: '9223372036854775807' },
    { field: 'exact', kind: 'decimal', text: '0.10000000000000000000000010', stored: '0.10000000000000000000000010' },
    { field: 'yes', kind: 'boolean', text: 'true', stored: 'true' },
    { field: 'at', kind: 'timestamptz', text: '2026-01-31T23:59:59.123456Z', stored: '"2026-01-31T23:59:59.123456Z"' },
    { field: 'doc', kind: 'json', text: '{"a":\n[1.50, null]}', stored: '{"a":[1.50,null]}' },
    { field: 'list', kind: 'array', text: '["x",null]', stored: '["x",null]' },
    { field: 'text', kind: 'text', text: 'Zeile\n"\u2028😀', stored: JSON.stringify('Zeile\n"\u2028😀') },
    { field: 'empty', kind: 'text', text: '', stored: '""' },
  ],
  recordWith: (fields) =>
    planned(
      'version-1',
      '1',
      `{${Object.entries(fields)
        .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
        .join(',')}}`,
    ),
}

destinationSuite(fixture)

describe('webhook', { timeout: 60_000 }, () => {
  it('is signed as the reference library verifies, over a body of the promised shape; configured headers do not override', async () => {
    await using receiver = await listen()
    const config = {
      ...fixture.config(receiver.url),
      url: `${receiver.url}/in?tenant=1`,
      headers: { 'Webhook-ID': 'forged', 'X-Extra': 'yes' },
    }
    const destination = webhook.open(config)
    const record = planned('version-1', '1', '{"n":12345678901234567890}')
    await destination.write(requestFor(fixture, [record, planned('version-2', '2', '{}', 'delete')], 'batch-7'), countingGate())
    await destination.close()
    const [got] = receiver.got
    assert.ok(got)
    assert.equal(got.url, '/in?tenant=1')
    assert.equal(got.headers['x-extra'], 'yes')
    assert.equal(got.headers['webhook-id'], 'batch-7')
    assert.equal(got.headers['content-type'], 'application/json')
    new Webhook(SECRET).verify(got.body, onlyStrings(got.headers))
    const head = '{"type":"records.changed","timestamp":"2026-01-31T12:00:00.000Z","data":{"sync":"customers"'
    const run = '"run":"0198f0aa-0000-7000-8000-000000000001","batch":"batch-7"'
    assert.equal(got.body, `${head},${run},"records":[${record.line},{"id":"version-2","op":"delete","key":"2","fields":{}}]}}`)
  })

  it('a repeat carries the same id and the same bytes; the receiver drops it', async () => {
    await using bench = await openBench(fixture)
    const request = bench.request([fixture.record(1), fixture.record(2)])
    bench.fault({ do: 'drop_after' })
    assert.equal((await connectorError(bench.destination.write(request, countingGate()))).kind, 'in_doubt')
    await bench.destination.write(request, countingGate())
    const { totals, findings } = bench.standIn.report()
    assert.deepEqual(totals, { records: 2, effective: 2, repeated: 2 })
    assert.deepEqual(findings, { requestsRepeated: 1, mismatches: [] })
    await bench.destination.write({ ...request, records: [fixture.changed(1)] }, countingGate())
    assert.deepEqual(bench.standIn.report().findings['mismatches'], ['batch-1'])
  })

  it('a delete removes, a batch with a refused key is split by its caller', async () => {
    await using bench = await openBench(fixture)
    await bench.destination.write(bench.request([fixture.record(1), fixture.record(2)]), countingGate())
    await bench.destination.write(bench.request([planned('gone-1', '1', '{}', 'delete')], 'batch-2'), countingGate())
    assert.deepEqual(
      bench.standIn.records('customers').map(({ key }) => key),
      ['2'],
    )
    bench.standIn.configure?.({ refuse: ['4'] })
    const pair = bench.request([fixture.record(3), fixture.record(4)], 'batch-3')
    assert.equal((await connectorError(bench.destination.write(pair, countingGate()))).kind, 'refused')
    const [outcome] = await bench.destination.write(bench.request([fixture.record(4)], 'batch-4'), countingGate())
    assert.deepEqual(outcome, {
      id: 'version-1-4',
      status: 'rejected',
      class: 'data',
      code: 'http_422',
      field: null,
      message: 'the receiver refused the record on its own (HTTP 422)',
    })
  })

  it('a wrong secret ends with auth, 410 with gone', async () => {
    await using bench = await openBench(fixture)
    const other = webhook.open({ ...fixture.config(`${bench.url}/webhook`), secret: 'whsec_c29tZXRoaW5nLWVsc2UtZW50aXJlbHk=' })
    assert.equal((await connectorError(other.write(bench.request([fixture.record(1)]), countingGate()))).kind, 'auth')
    assert.notEqual(other.account, bench.destination.account)
    bench.fault({ do: 'status', status: 410 })
    assert.equal((await connectorError(bench.destination.write(bench.request([fixture.record(1)]), countingGate()))).kind, 'gone')
    await other.close()
  })

  it('private addresses are refused without the setting, literal or behind a name, and nothing arrives', async () => {
    await using receiver = await listen()
    const port = new URL(receiver.url).port
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '2130706433',
      '10.0.0.1',
      '169.254.169.254',
      '100.64.0.1',
    ]) {
      const destination = webhook.open({ url: `http://${host}:${port}/`, secret: SECRET, timeoutSeconds: 5 })
      const error = await connectorError(destination.write(requestFor(fixture, [fixture.record(1)], 'b'), countingGate()))
      assert.equal(error.kind, 'config', host)
      assert.match(error.message, /allowPrivateNetwork/)
      assert.deepEqual((await destination.check(new AbortController().signal)).ok, false)
      await destination.close()
    }
    assert.equal(receiver.got.length, 0)
  })

  it('check connects and sends nothing', async () => {
    await using receiver = await listen()
    const destination = webhook.open(fixture.config(receiver.url))
    const check = await destination.check(new AbortController().signal)
    assert.equal(check.ok, true)
    assert.equal(receiver.got.length, 0)
    await destination.close()
  })

  it('configuration that cannot work is refused by name, without its value', () => {
    const base = fixture.config('http://127.0.0.1:1')
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ ...base, url: 'http://user:hunter2@example.com' }, /config\.url/],
      [{ ...base, url: 'ftp://example.com' }, /config\.url/],
      [{ ...base, secret: 'whsec_' }, /secret must be/],
      [{ ...base, secret: 'hunter2' }, /secret must be/],
      [{ ...base, headers: { 'Transfer-Encoding': 'chunked' } }, /Transfer-Encoding/],
      [{ ...base, colour: 'red' }, /config/],
    ]
    for (const [config, message] of wrong) {
      assert.throws(
        () => webhook.open(config),
        (error: Error) => message.test(error.message) && !error.message.includes('hunter2'),
      )
    }
  })
})

interface Received {
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function listen(): Promise<{ url: string; got: Received[] } & AsyncDisposable> {
  const got: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      got.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '::', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    got,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function onlyStrings(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}
