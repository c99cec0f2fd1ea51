import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import { freePort } from '../../server/embedded/port.ts'
import { documents, fault } from '../harness/contacts.ts'
import { startReceiver } from '../harness/receiver.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/** Secrets and row values are planted everywhere, things go wrong in every way, and nothing that comes out holds one of them. */
const TOKEN = 'pat-needle-hubspot-token'
const WEBHOOK_SECRET = `whsec_${Buffer.from('needle-webhook-secret-0123456789').toString('base64')}`
const API_TOKEN = 'needle-api-token'
/** Row values: keys, e-mails, names. */
const VALUE = 'ndlrow'
let stack: Stack
let receiver: Awaited<ReturnType<typeof startReceiver>>
let ports: { api: number; worker: number }
let logs = ''

before(async () => {
  stack = await startStack({
    LOG_LEVEL: 'trace',
    HUBSPOT_TOKEN: TOKEN,
    WEBHOOK_SECRET,
    TAILRACE_API_TOKEN: API_TOKEN,
    PASSWORD: 'needle-password',
  })
  ports = { api: await freePort(), worker: await freePort() }
  const listen = ({ process }: Role): void => {
    for (const stream of [process.stdout, process.stderr]) stream?.on('data', (chunk: Buffer) => (logs += chunk.toString()))
  }
  listen(await stack.start('api', { TAILRACE_METRICS_PORT: String(ports.api) }))
  listen(await stack.start('worker', { TAILRACE_METRICS_PORT: String(ports.worker) }))
  receiver = await startReceiver()
  await stack.warehouse.query(`create table contacts (id text, email text, name text);
    insert into contacts select '${VALUE}-key-' || i, '${VALUE}' || i || '@example.com', '${VALUE} name ' || i from generate_series(1, 30) i;
    insert into contacts values ('${VALUE}-key-bad', '${VALUE} is no address', '${VALUE} name'), ('${VALUE}-key-1', '${VALUE}-twice@example.com', null)`)
})
after(async () => {
  await receiver.close()
  await stack.stop()
})

const answers: string[] = []

async function call(method: string, path: string, body?: unknown, token = API_TOKEN): Promise<Record<string, unknown>> {
  const response = await fetch(`${stack.env['TAILRACE_URL']}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  answers.push(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

async function run(options: object = {}): Promise<Record<string, unknown>> {
  const { id } = await call('POST', '/v1/syncs/contacts/runs', options)
  for (;;) {
    const row = await call('GET', `/v1/runs/${String(id)}?wait=30`)
    if (['succeeded', 'partial', 'failed', 'cancelled'].includes(String(row['state']))) return row
  }
}

async function apply(destination: 'hubspot' | 'webhook', sync: object = {}, sql = 'select * from contacts'): Promise<void> {
  const notification = {
    kind: 'Notification',
    name: 'ops',
    url: receiver.url,
    secret: '${env:WEBHOOK_SECRET}',
    on: ['failed', 'parked', 'partial', 'recovered'],
  }
  const wanted = documents(stack, destination, sync).map((document) => ('sql' in document ? { ...document, sql } : document))
  const answer = await call('POST', '/v1/config/apply', { documents: [...wanted, notification] })
  assert.deepEqual(answer['errors'] ?? [], [], JSON.stringify(answer))
}

/** Everything in Temporal, payloads decoded. */
async function histories(): Promise<string> {
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    const client = new Client({ connection, namespace: stack.namespace })
    let all = ''
    for await (const { workflowId, runId } of client.workflow.list()) {
      const handle = client.workflow.getHandle(workflowId, runId)
      const texts = (_key: string, value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value)
      // Buffers know how to write themselves, as numbers.
      const plain = (value: unknown): unknown =>
        value instanceof Uint8Array
          ? Buffer.from(value).toString('utf8')
          : Array.isArray(value)
            ? value.map(plain)
            : typeof value === 'object' && value !== null
              ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
              : value
      all += JSON.stringify(plain(await handle.fetchHistory()), texts)
      all += JSON.stringify(plain((await handle.describe()).raw), texts)
    }
    return all
  } finally {
    await connection.close()
  }
}

test('no secret and no row value comes out, whatever goes wrong', async () => {
  await apply('hubspot')
  assert.equal((await run())['state'], 'partial')
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'drop_after', commit: 'before' })
  await stack.warehouse.query(`update contacts set name = name || ' changed'`)
  await run({ full: true })
  await fault(stack, { on: 'hubspot', do: 'status', status: 400, body: `{"message":"${VALUE} echoed"}`, times: 2 })
  await run({ full: true })
  await fault(stack, { on: 'hubspot', do: 'status', status: 401, body: `{"message":"${VALUE} echoed"}`, times: 9 })
  assert.equal((await run({ verify: true }))['state'], 'failed')
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })

  // PostgreSQL's own words quote the value.
  await apply('hubspot', {}, `select id, email, name, name::int as number from contacts`)
  await apply('hubspot', { fields: { email: 'email', firstname: 'number' } }, `select id, email, name::int as number from contacts`)
  assert.equal((await run())['state'], 'failed')
  await apply('webhook', { fields: { email: 'email', name: { template: '{{ name | divided_by: 0 }}{{ email | date: "%Q" }}' } } })
  await run()
  await fault(stack, { on: 'webhook', do: 'status', status: 422, body: `${VALUE} is refused`, times: 'always' })
  await run({ full: true })
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await fault(stack, { on: 'webhook', do: 'status', status: 404, body: `${VALUE} echoed`, times: 'always' })
  await run({ full: true })

  for (const path of [
    'runs',
    'syncs',
    'sources',
    'models',
    'destinations',
    'notifications',
    'syncs/contacts',
    'destinations/target',
    'doctor',
  ])
    await call('GET', `/v1/${path}`)
  await call('POST', '/v1/sources/warehouse/check')
  await call('POST', '/v1/destinations/target/check')
  await call('POST', '/v1/config/plan', { documents: documents(stack, 'webhook') })
  // In paths and queries keys are row values: not in logs, not in the answers to those who may not see them.
  const purpose = answers.length
  await call('GET', `/v1/syncs/contacts/records/${VALUE}-key-1`)
  await call('GET', `/v1/syncs/contacts/rejections?limit=5`)
  await call('POST', '/v1/syncs/contacts/preview', { limit: 2 })
  const shown = answers.splice(purpose).join('\n')
  assert.match(shown, new RegExp(VALUE), 'values are shown where that is the purpose: the needles are the right ones')
  await call('GET', '/v1/syncs/contacts/rejections', undefined, 'needle-wrong-token')

  await receiver.until((received) => received.length > 0, 'a notification')
  const outputs: Record<string, string> = {
    answers: answers.join('\n'),
    logs,
    'metrics of the API': await (await fetch(`http://127.0.0.1:${ports.api}/metrics`)).text(),
    'metrics of the worker': await (await fetch(`http://127.0.0.1:${ports.worker}/metrics`)).text(),
    'histories in Temporal': await histories(),
    notifications: receiver.received.map(({ body }) => body).join('\n'),
  }
  for (const [what, text] of Object.entries(outputs)) {
    assert.ok(text.length > 200, `${what} are empty`)
    for (const needle of [VALUE, 'needle', WEBHOOK_SECRET, Buffer.from(VALUE).toString('base64').slice(0, 8)]) {
      const at = text.indexOf(needle)
      assert.equal(at, -1, `${what} hold ${needle}: …${text.slice(Math.max(0, at - 300), at + 100)}…`)
    }
  }
  assert.match(logs, /"batch":/, 'logs name batches')
})
