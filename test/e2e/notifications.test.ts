import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import { Webhook } from 'standardwebhooks'
import { createContacts, documents, fault, some } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { startReceiver, type Received } from '../harness/receiver.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/** Notifications, counted at the receiver: one per change of a sync's condition, whatever happens to the workers. */
const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
let stack: Stack
let worker: Role
let ops: Awaited<ReturnType<typeof startReceiver>>

before(async () => {
  stack = await startStack({ OPS_SECRET: SECRET })
  await stack.start('api')
  worker = await stack.start('worker')
})
after(() => stack.stop())
beforeEach(async () => {
  ops = await startReceiver()
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  for (const path of ['syncs/contacts', 'notifications/calm', 'notifications/inside']) await stack.call('DELETE', `/v1/${path}`)
  await createContacts(stack, some(30))
  await stack.apply([...documents(stack, 'webhook', { guards: {} }), notification('ops', ['failed', 'parked', 'partial', 'recovered'])])
})
afterEach(() => ops.close())

function notification(name: string, on: readonly string[], more: object = {}): object {
  return { kind: 'Notification', name, url: `${ops.url}/hooks`, secret: '${env:OPS_SECRET}', on, ...more }
}

async function refuse(keys: readonly string[]): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ webhook: { reject: keys } }) })
}

async function retried(): Promise<void> {
  await refuse([])
  await stack.call('POST', '/v1/syncs/contacts/rejections/retry', {})
}

const message = ({ body }: Received) =>
  JSON.parse(body) as { type: string; data: { event: string; run: string; sync: string; error?: { code: string } | null } }

/** Distinct notifications, as a receiver that drops repeats by their id sees them. */
function distinct(received: readonly Received[]): string[] {
  const seen = new Map(received.map((one) => [one.headers['webhook-id'], message(one).data.event]))
  return [...seen.values()]
}

const events = (...wanted: string[]): Promise<void> =>
  ops
    .until((received) => distinct(received).length >= wanted.length, wanted.join(', '))
    .then(() => {
      assert.deepEqual(distinct(ops.received), wanted)
    })

test('one for each change of condition: a sync that stays as it is says nothing', async () => {
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await stack.warehouse.query(`update contacts set name = 'two'`)
  await refuse(['3'])
  const partial = await stack.run('contacts')
  assert.equal(partial.state, 'partial')
  await events('partial')
  assert.equal((await stack.run('contacts')).state, 'partial')
  await retried()
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await events('partial', 'recovered')
  assert.equal((await stack.run('contacts')).state, 'succeeded')

  await stack.warehouse.query(`update contacts set name = 'three'`)
  for (let runs = 0; runs < 2; runs++) {
    await fault(stack, { on: 'webhook', do: 'status', status: 401 })
    assert.equal((await stack.run('contacts')).error?.code, 'auth')
    await events('partial', 'recovered', 'failed')
  }
  await stack.run('contacts', { dryRun: true })
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await events('partial', 'recovered', 'failed', 'recovered')

  const webhook = new Webhook(SECRET)
  for (const { headers, body } of ops.received) webhook.verify(body, headers as Record<string, string>)
  const first = ops.received[0]
  assert.ok(first)
  assert.equal(message(first).type, 'sync.partial')
  assert.deepEqual([message(first).data.run, message(first).data.sync], [partial.id, 'contacts'])
  assert.equal(message(ops.received[2] ?? first).data.error?.code, 'auth')
  assert.doesNotMatch(ops.received.map(({ body }) => body).join('\n'), /person\d|example\.com|whsec_/)
})

test('every run that parks waits for a person of its own; a rejected one changes nothing else', async () => {
  await stack.run('contacts')
  await stack.warehouse.query('delete from contacts where id > 10')
  const first = await stack.run('contacts', {}, ['awaiting_approval'])
  await events('parked')
  await stack.call('POST', `/v1/runs/${first.id}/reject`)
  assert.equal((await stack.ended(first.id)).error?.code, 'rejected')
  const again = await stack.run('contacts', {}, ['awaiting_approval'])
  await events('parked', 'parked')
  await stack.call('POST', `/v1/runs/${again.id}/approve`)
  assert.equal((await stack.ended(again.id)).state, 'succeeded')
  await events('parked', 'parked', 'recovered')
})

test('each Notification gets what it asks for, and a terminated run counts as failed', async () => {
  await stack.apply([notification('ops', ['failed']), notification('calm', ['recovered'])])
  await fault(stack, { on: 'webhook', do: 'hold', commit: 'before' })
  const { body } = await stack.call('POST', '/v1/syncs/contacts/runs', {})
  await fetch(`${stack.sandbox.url}/_sandbox/held?count=1&timeoutSeconds=40`)
  await temporal((client) => client.workflow.getHandle('sync/contacts').terminate('a test'))
  assert.equal((await stack.ended(String(body['id']))).error?.code, 'terminated')
  await fetch(`${stack.sandbox.url}/_sandbox/release`, { method: 'POST', body: '{}' })
  await events('failed')
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await events('failed', 'recovered')
})

test('a receiver that is away gets it later: same id, same bytes, fresh signature', async () => {
  ops.answer = (_received, nth) => (nth <= 2 ? 503 : 204)
  await refuse(['3'])
  await stack.run('contacts')
  await ops.until((received) => received.length >= 3, 'the third try')
  assert.equal(new Set(ops.received.map(({ headers }) => headers['webhook-id'])).size, 1)
  assert.equal(new Set(ops.received.map(({ body }) => body)).size, 1)
})

test('the worker is killed while the receiver has the request: another one repeats it under the same id', async () => {
  ops.answer = (_received, nth) => (nth === 1 ? 0 : 204)
  await refuse(['3'])
  await stack.run('contacts')
  await ops.until((received) => received.length >= 1, 'the first try')
  await worker.kill()
  worker = await stack.start('worker')
  await ops.until((received) => received.length >= 2, 'the second try')
  await events('partial')
  await retried()
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await events('partial', 'recovered')
})

test('a private address is refused before anything is sent, and the web UI says so', async () => {
  await stack.apply([notification('ops', ['failed']), notification('inside', ['partial'], { url: 'http://10.255.255.1:8080/hooks' })])
  await refuse(['3'])
  await stack.run('contacts')
  const failure = await temporal((client) =>
    eventually('a refused notification', async () => {
      for await (const { workflowId } of client.workflow.list({ query: `WorkflowType = 'notify' and ExecutionStatus = 'Running'` })) {
        const { raw } = await client.workflow.getHandle(workflowId).describe()
        const said = raw.pendingActivities?.[0]?.lastFailure?.message
        if (said?.includes('10.255.')) return said
      }
      return null
    }),
  )
  assert.match(failure, /10\.255\.255\.1 is a private or loopback address; nothing was sent/)
})

async function temporal<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    return await work(new Client({ connection, namespace: stack.namespace }))
  } finally {
    await connection.close()
  }
}
