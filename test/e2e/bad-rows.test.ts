import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { documents, held, report, some, startAnew, wanted } from '../harness/contacts.ts'
import { startStack, type Run, type Stack } from '../harness/stack.ts'

/** Records that HubSpot refuses for good: another record has their value of a unique property. Counted at the destination. */
let stack: Stack

before(async () => {
  stack = await startStack()
  await stack.start('api')
  await stack.start('worker')
})
after(() => stack.stop())

const MAPPED = { fields: { email: 'email', firstname: 'name', customer_no: 'no' }, mode: 'upsert' }

async function hubspot(path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${stack.sandbox.url}/hubspot/crm/v3/${path}`, {
    method: 'POST',
    headers: { authorization: 'Bearer pat-other', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(await response.text())
  return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>)
}

/** Records of another hand that hold these customer numbers; their ids in HubSpot, by number. */
async function strangers(numbers: readonly number[]): Promise<Map<string, string>> {
  const ids = new Map<string, string>()
  for (let at = 0; at < numbers.length; at += 100) {
    const inputs = numbers.slice(at, at + 100).map((n) => ({ properties: { lastname: 'stranger', customer_no: `c-${n}` } }))
    const { results } = await hubspot('objects/contacts/batch/create', { inputs })
    for (const { id, properties } of results as { id: string; properties: { customer_no: string } }[]) ids.set(properties.customer_no, id)
  }
  return ids
}

beforeEach(async () => {
  await startAnew(stack, 'hubspot', some(30))
  await stack.warehouse.query(`alter table contacts add column no text; update contacts set no = 'c-' || id`)
  await hubspot('properties/contacts', {
    name: 'customer_no',
    label: 'Customer number',
    groupName: 'contactinformation',
    type: 'string',
    fieldType: 'text',
    hasUniqueValue: true,
  })
  await stack.apply(documents(stack, 'hubspot', MAPPED))
})

function cli(...args: string[]): Promise<number> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/server/main.js', ...args], { env: stack.env, timeout: 60_000 }, (error) =>
      resolve(error ? Number(error.code) : 0),
    )
  })
}

async function upserts(): Promise<number> {
  const { requests } = await report(stack, 'hubspot')
  return requests.filter(({ path }) => path.endsWith('/batch/upsert')).reduce((sum, { count }) => sum + count, 0)
}

const told = ({ state, counts }: Run): object => {
  const { added = 0, changed = 0, retried = 0, delivered = 0, rejected = 0, owed = 0 } = counts
  return { state, sent: added + changed, retried, delivered, rejected, owed }
}

test('permanent bad rows cost one attempt per version; their neighbours are delivered in the same run; states, counts and exit codes are true', async () => {
  const ids = await strangers([3, 7, 12])
  const quiet = { sent: 0, retried: 0, delivered: 0, rejected: 0 }

  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'partial', sent: 30, delivered: 27, rejected: 3, owed: 3 })
  const { effective } = (await report(stack, 'hubspot')).totals
  const tries = await upserts()
  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'partial', owed: 3 })
  assert.equal(await cli('run', 'contacts', '--wait'), 2)
  assert.equal(await upserts(), tries, 'nothing was tried again')
  const { body } = await stack.call('GET', '/v1/syncs/contacts/rejections')
  const listed = (body['data'] as { key: string; class: string; attempts: number }[]).map(({ key, attempts }) => [key, attempts])
  assert.deepEqual(new Map(listed as [string, number][]), new Map([['3', 1], ['7', 1], ['12', 1]])) // prettier-ignore

  await stack.warehouse.query(`update contacts set name = 'still bad' where id = 7; update contacts set no = 'c-300' where id = 3`)
  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'partial', sent: 2, delivered: 1, rejected: 1, owed: 2 })
  assert.equal(await upserts(), tries + 1, 'a new version costs one more attempt')

  await stack.warehouse.query('delete from contacts where id = 7')
  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'partial', owed: 1 })

  await hubspot('objects/contacts/batch/archive', { inputs: [{ id: ids.get('c-12') }] })
  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'partial', owed: 1 })
  await stack.call('POST', '/v1/syncs/contacts/rejections/retry', { key: '12' })
  assert.deepEqual(told(await stack.run('contacts')), { ...quiet, state: 'succeeded', sent: 1, retried: 1, delivered: 1, owed: 0 })
  assert.equal(await cli('run', 'contacts', '--wait'), 0)

  const ours = Object.entries(await held(stack, 'hubspot')).filter(([email]) => email !== 'undefined')
  assert.deepEqual(Object.fromEntries(ours), await wanted(stack))
  // Row 3 and 12 once each after the first run, and the stranger who was archived.
  assert.equal((await report(stack, 'hubspot')).totals.effective, effective + 2 + 1)
})

test('a storm of refusals crosses maxRejected: the run ends before it has tried the rest', async () => {
  await stack.warehouse.query(
    `truncate contacts; insert into contacts select i, 'p' || i || '@example.com', 'x', 'c-' || i from generate_series(1, 3000) i`,
  )
  await strangers(Array.from({ length: 3000 }, (_, i) => i + 1))
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.error?.code], ['failed', 'guard'], JSON.stringify(run))
  assert.ok((run.counts['rejected'] ?? 0) < 3000, JSON.stringify(run.counts))
  assert.equal(run.counts['delivered'], 0)
})
