import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { createSandbox, type Sandbox } from '../../connectors/sandbox/sandbox.ts'
import { webhookStandIn } from '../../connectors/webhook/stand-in.ts'

interface Client extends AsyncDisposable {
  readonly sandbox: Sandbox
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<{ status: number; text: string }>
  post(id: string, key: string): Promise<{ status: number; text: string }>
}

async function start(): Promise<Client> {
  const sandbox = createSandbox({ standIns: [webhookStandIn()] })
  const { url } = await sandbox.listen(0)
  const send = async (method: 'GET' | 'POST' | 'DELETE', path: string, headers: Record<string, string>, body?: unknown) => {
    const answer = await request(url + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) })
    return { status: answer.statusCode, text: await answer.body.text() }
  }
  return {
    sandbox,
    call: (method, path, body) => send(method, path, {}, body),
    post(id, key) {
      const records = [{ id, op: 'upsert', key, fields: { n: 1 } }]
      const body = { type: 'records.changed', timestamp: 't', data: { sync: 'customers', run: 'r', batch: id, records } }
      return send('POST', '/webhook/any', { 'webhook-id': id }, body)
    },
    [Symbol.asyncDispose]: () => sandbox.close(),
  }
}

interface Report {
  readonly requests: unknown[]
  readonly systems: Record<string, { totals: unknown; writes?: { repeated: number }[] }>
}

describe('sandbox', { timeout: 60_000 }, () => {
  it('reports requests and writes, counts records, resets', async () => {
    await using client = await start()
    await client.post('v1', 'k1')
    await client.post('v1', 'k1')
    await client.post('v2', 'k2')
    const report = JSON.parse((await client.call('GET', '/_sandbox/report')).text) as Report
    assert.deepEqual(report.requests, [{ system: 'webhook', method: 'POST', path: '/any', count: 3 }])
    assert.deepEqual(report.systems.webhook?.totals, { records: 2, effective: 2, repeated: 1 })
    assert.deepEqual(report.systems.webhook.writes?.[0]?.repeated, 1)
    const brief = JSON.parse((await client.call('GET', '/_sandbox/report?writes=none')).text) as Report
    assert.equal(brief.systems.webhook?.writes, undefined)
    const records = await client.call('GET', '/_sandbox/records?system=webhook&object=customers&limit=1')
    assert.equal(records.text, '{"total":2,"records":[{"object":"customers","key":"k1","fields":{"n":1}}]}')
    await client.call('POST', '/_sandbox/reset')
    assert.equal((await client.call('GET', '/_sandbox/records?system=webhook')).text, '{"total":0,"records":[]}')
    assert.deepEqual((JSON.parse((await client.call('GET', '/_sandbox/report')).text) as Report).requests, [])
  })

  it('holds a request until it is released, and says when it holds', async () => {
    await using client = await start()
    await client.call('POST', '/_sandbox/faults', { faults: [{ on: 'webhook', do: 'hold' }] })
    const answer = client.post('v1', 'k1')
    assert.deepEqual(await client.call('GET', '/_sandbox/held?count=1'), { status: 200, text: '{"held":1}' })
    assert.equal(client.sandbox.state.standIns.get('webhook')?.report().totals.effective, 0)
    assert.equal((await client.call('POST', '/_sandbox/release')).text, '{"released":1}')
    assert.equal((await answer).status, 200)
    assert.equal(client.sandbox.state.standIns.get('webhook')?.report().totals.effective, 1)
    assert.equal((await client.call('GET', '/_sandbox/held?count=1&timeoutSeconds=0')).status, 408)
  })

  it('a held request is dropped, not applied, by a reset; commit before applies first', async () => {
    await using client = await start()
    const effective = () => client.sandbox.state.standIns.get('webhook')?.report().totals.effective
    await client.call('POST', '/_sandbox/faults', { faults: [{ on: 'webhook', do: 'hold', commit: 'before' }] })
    const first = client.post('v1', 'k1')
    await client.call('GET', '/_sandbox/held?count=1')
    assert.equal(effective(), 1)
    await client.call('POST', '/_sandbox/release', { count: 1 })
    await first
    await client.call('POST', '/_sandbox/faults', { faults: [{ on: 'webhook', do: 'hold' }] })
    const second = assert.rejects(client.post('v2', 'k2'))
    await client.call('GET', '/_sandbox/held?count=1')
    await client.call('POST', '/_sandbox/reset')
    await second
    assert.equal(effective(), 0)
  })

  it('latency, settings and wrong input', async () => {
    await using client = await start()
    assert.equal((await client.call('POST', '/_sandbox/latency', { ms: 5 })).status, 200)
    assert.equal(client.sandbox.state.latencyMs, 5)
    assert.equal((await client.call('POST', '/_sandbox/settings', { webhook: { refuse: ['k9'] } })).status, 200)
    assert.equal((await client.post('v9', 'k9')).status, 422)
    for (const [method, path, body] of [
      ['POST', '/_sandbox/faults', { faults: [{ on: 'webhook', do: 'explode' }] }],
      ['POST', '/_sandbox/settings', { webhook: { colour: 'red' } }],
      ['POST', '/_sandbox/settings', { nobody: {} }],
      ['POST', '/_sandbox/latency', { ms: -1 }],
      ['GET', '/_sandbox/records?system=nobody', undefined],
    ] as const) {
      assert.equal((await client.call(method, path, body)).status, 400, path)
    }
    assert.equal((await client.call('GET', '/_sandbox/nothing')).status, 404)
    assert.equal((await client.call('GET', '/nobody')).status, 404)
  })
})
