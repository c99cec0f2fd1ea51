import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createContacts, documents, fault, held, report, some } from '../harness/contacts.ts'
import { startStack, type Run, type Stack } from '../harness/stack.ts'

/** Bad input gets a clear error and loses nothing: what a run says, and that nothing was sent. */
let stack: Stack

before(async () => {
  stack = await startStack({ SHUT_URL: 'postgres://nobody:secret-word@127.0.0.1:1/none' })
  await stack.start('api')
  await stack.start('worker')
})
after(() => stack.stop())
beforeEach(async () => {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  await stack.call('DELETE', '/v1/syncs/contacts')
  await createContacts(stack, some(12))
})

async function failing(sync: object, model: object = {}, config: object = {}): Promise<Run> {
  const all = documents(stack, 'hubspot', sync, config).map((d) => ('kind' in d && d.kind === 'Model' ? { ...d, ...model } : d))
  await stack.apply(all)
  const run = await stack.run('contacts')
  assert.equal(run.state, 'failed', JSON.stringify(run))
  assert.deepEqual(await held(stack, 'hubspot'), {})
  return run
}

const message = (run: Run): string => `${run.error?.code}: ${run.error?.message}`

test('a column that the model does not have is named, with the columns there are', async () => {
  const run = await failing({ fields: { email: 'email', firstname: 'nmae' } })
  assert.match(message(run), /^config: .*no column nmae.*name.*email|^config: .*no column nmae.*name/)
})

test("an SQL error comes with PostgreSQL's message and position", async () => {
  const run = await failing({}, { sql: 'select id, email, nme as name from contacts' })
  assert.match(message(run), /^query: .*column "nme" does not exist.*(line 1|position)/s)
})

test('an error that would quote a row comes as SQLSTATE and name only', async () => {
  await stack.warehouse.query(`update contacts set name = 'row-value-4711' where id = 9`)
  const run = await failing({}, { sql: 'select id, email, name::int::text as name from contacts' })
  assert.match(message(run), /22P02/)
  assert.doesNotMatch(message(run), /row-value-4711/)
})

test('two statements are refused', async () => {
  assert.match(message(await failing({}, { sql: 'select * from contacts; select 1' })), /statement/)
})

test('a key of a type without an order is refused, with the types that work', async () => {
  const run = await failing({}, { sql: `select json_build_object('id', id) as id, email, name from contacts` })
  assert.match(message(run), /json/)
  assert.match(message(run), /integer|int8|bigint/)
})

test('an unreachable warehouse is named by host and port, without its password', async () => {
  const shut = { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: '${env:SHUT_URL}' } }
  await stack.apply([...documents(stack, 'hubspot').filter((d) => 'kind' in d && d.kind !== 'Source'), shut])
  const run = await stack.run('contacts')
  assert.equal(run.state, 'failed')
  assert.match(message(run), /^source: .*127\.0\.0\.1:1/)
  assert.doesNotMatch(JSON.stringify(run), /secret-word/)
  await stack.apply(documents(stack, 'hubspot'))
})

test('a missing environment variable is named', async () => {
  const run = await failing({}, {}, { accessToken: '${env:NOT_THERE}' })
  assert.match(message(run), /^config: .*NOT_THERE/)
})

test('an unknown destination field comes with the nearest names', async () => {
  assert.match(message(await failing({ fields: { email: 'email', fristname: 'name' } })), /^config: .*fristname.*firstname/)
})

test('a match field that is not unique is refused', async () => {
  assert.match(message(await failing({ match: 'firstname' })), /^config: .*firstname.*not unique/)
})

test('a template with an unknown column is refused', async () => {
  assert.match(message(await failing({ fields: { email: 'email', firstname: { template: 'Dear {{ nmae }}' } } })), /^config: .*nmae/)
})

test('a refused token ends the run with advice', async () => {
  await fault(stack, {
    on: 'hubspot',
    do: 'status',
    status: 401,
    times: 'always',
    body: { category: 'INVALID_AUTHENTICATION', message: 'no' },
  })
  assert.match(message(await failing({})), /^auth: /)
})

test('values that a field cannot hold make their rows invalid; the others are delivered', async () => {
  await stack.warehouse.query(
    `update contacts set email = 'not an address' where id = 2; update contacts set name = repeat('x', 70000) where id = 3`,
  )
  await stack.warehouse.query(
    `alter table contacts add column stage text default 'customer'; update contacts set stage = 'no such stage' where id = 4`,
  )
  await stack.apply(documents(stack, 'hubspot', { fields: { email: 'email', firstname: 'name', lifecyclestage: 'stage' } }))
  const run = await stack.run('contacts')
  assert.deepEqual(
    [run.state, run.counts['delivered'], run.counts['invalid'], run.counts['owed']],
    ['partial', 9, 3, 3],
    JSON.stringify(run),
  )
  const { body } = await stack.call('GET', '/v1/syncs/contacts/rejections')
  const fields = (body['data'] as { key: string; field: string }[]).map(({ key, field }) => [key, field])
  assert.deepEqual(new Set(fields.map(String)), new Set(['2,email', '3,firstname', '4,lifecyclestage']))
  assert.equal((await report(stack, 'hubspot')).totals.effective, 9)
})

test('a run of an unknown sync, and a body with an unknown field', async () => {
  assert.equal((await stack.call('POST', '/v1/syncs/nobody/runs', {})).status, 404)
  await stack.apply(documents(stack, 'hubspot'))
  const { status, body } = await stack.call('POST', '/v1/syncs/contacts/runs', { fulll: true })
  assert.equal(status, 400)
  assert.match(JSON.stringify(body), /fulll/)
})
