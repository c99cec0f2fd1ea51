import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { addContacts, createContacts, documents, fault, held, outcome, report, some, startAnew, wanted } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** Match values that move between rows, under mirror. Counted at the destination. */
let stack: Stack

before(async () => {
  stack = await startStack()
  await stack.start('api')
  await stack.start('worker')
})
after(() => stack.stop())
beforeEach(async () => {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  await stack.call('DELETE', '/v1/syncs/contacts')
  await createContacts(stack, some(30))
  await stack.apply(documents(stack, 'hubspot'))
  await stack.run('contacts')
})

const expect = {
  read: 30,
  unchanged: 0,
  added: 0,
  changed: 0,
  removed: 0,
  retried: 0,
  invalid: 0,
  owed: 0,
  delivered: 0,
  skipped: 0,
  rejected: 0,
  inDoubt: 0,
  error: null,
}

test('a changed e-mail: the new record is there, the old one is gone, counted as one change', async () => {
  await stack.warehouse.query(`update contacts set email = 'new@example.com' where id = 7`)
  assert.deepEqual(outcome(await stack.run('contacts')), { ...expect, state: 'succeeded', unchanged: 29, changed: 1, delivered: 1 })
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('two keys swap their e-mails: nothing is removed', async () => {
  await stack.warehouse.query(
    `update contacts set email = case id when 1 then 'person2@example.com' else 'person1@example.com' end, name = 'key ' || id where id in (1, 2)`,
  )
  assert.deepEqual(outcome(await stack.run('contacts')), { ...expect, state: 'succeeded', unchanged: 28, changed: 2, delivered: 2 })
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('a key leaves and another one arrives with its e-mail: the record stays', async () => {
  await stack.warehouse.query(`update contacts set id = 99, name = 'heir' where id = 3`)
  assert.deepEqual(outcome(await stack.run('contacts')), { ...expect, state: 'succeeded', unchanged: 29, added: 1, delivered: 1 })
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('only the case of an e-mail changes: HubSpot folds it, so nothing is removed', async () => {
  await stack.warehouse.query(`update contacts set email = 'PERSON4@example.com' where id = 4`)
  assert.deepEqual(outcome(await stack.run('contacts')), { ...expect, state: 'succeeded', unchanged: 29, changed: 1, delivered: 1 })
  assert.equal(Object.keys(await held(stack, 'hubspot')).length, 30)
})

test('rows that cannot be told apart or cannot be found are invalid, the others go on', async () => {
  await stack.warehouse.query(`update contacts set email = 'person10@example.com', name = 'thief' where id = 11`) // an unchanged row has it
  await stack.warehouse.query(`update contacts set email = null where id = 12`)
  await addContacts(stack, [
    { id: 13, email: 'twin@example.com', name: 'twin' },
    { id: 40, email: 'Shared@example.com', name: 'a' },
    { id: 41, email: 'shared@example.com', name: 'b' },
    { id: 42, email: 'fine@example.com', name: 'fine' },
  ])
  await stack.warehouse.query(`insert into contacts values (null, 'nobody@example.com', 'no key')`)
  const run = await stack.run('contacts')
  // 11, 12, both rows of 13, 40, 41 and the row without a key; nothing is removed for any of them.
  assert.deepEqual(outcome(run), { ...expect, state: 'partial', read: 35, unchanged: 27, added: 1, delivered: 1, invalid: 7, owed: 6 })
  const records = await held(stack, 'hubspot')
  assert.equal(Object.keys(records).length, 31)
  assert.equal(records['person10@example.com'], 'one')
  assert.equal(records['person12@example.com'], 'one')
  const { body } = await stack.call('GET', '/v1/syncs/contacts/rejections')
  const listed = (body['data'] as { key: unknown; code: string; class: string }[]).map(({ key, code }) => [key, code])
  assert.deepEqual(
    new Set(listed.map(String)),
    new Set(['11,duplicate_match', '12,match_missing', '13,duplicate_key', '40,duplicate_match', '41,duplicate_match', ',null_key']),
  )

  await stack.warehouse.query(
    `delete from contacts where id is null or id in (13, 41); update contacts set email = 'person' || id || '@example.com', name = 'one' where id in (11, 12)`,
  )
  const fixed = await stack.run('contacts')
  assert.equal(fixed.state, 'succeeded', JSON.stringify(fixed))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('the old record of a renamed one cannot be archived now: it stays on the books and goes later', async () => {
  await stack.warehouse.query(`update contacts set email = 'moved@example.com' where id = 5`)
  await fault(stack, { on: 'hubspot', method: 'POST', path: 'batch/archive', do: 'status', status: 503, times: 1 })
  const run = await stack.run('contacts')
  assert.equal(run.state, 'succeeded', JSON.stringify(run))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('a rename whose new e-mail the destination refuses leaves the old record alone', async () => {
  await fault(stack, {
    on: 'hubspot',
    method: 'POST',
    path: 'batch/upsert',
    do: 'status',
    status: 400,
    body: { status: 'error', category: 'VALIDATION_ERROR', message: 'no', correlationId: 'x' },
  })
  await stack.warehouse.query(`update contacts set email = 'refused@example.com' where id = 6`)
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['rejected'], run.counts['owed']], ['partial', 1, 1], JSON.stringify(run))
  assert.equal((await held(stack, 'hubspot'))['person6@example.com'], 'one')
  // One attempt per version: the next run does not send it again.
  const again = await stack.run('contacts')
  assert.deepEqual([again.state, again.counts['changed'], again.counts['owed']], ['partial', 0, 1], JSON.stringify(again))
  assert.equal((await report(stack, 'hubspot')).totals.records, 30)
})

test('rows that leave the model are removed, and only those that this sync wrote', async () => {
  await createdByHand('stranger@example.com')
  await stack.warehouse.query('delete from contacts where id <= 3')
  const { body } = await stack.call('POST', '/v1/syncs/contacts/preview', { limit: 1 })
  assert.deepEqual(body['data'], [{ key: '1', op: 'removed', fields: { email: 'person1@example.com' }, outcome: 'planned', error: null }])
  assert.deepEqual(outcome(await stack.run('contacts')), {
    ...expect,
    state: 'succeeded',
    read: 27,
    unchanged: 27,
    removed: 3,
    delivered: 3,
  })
  assert.deepEqual(Object.keys(await held(stack, 'hubspot')).sort(), [...Object.keys(await wanted(stack)), 'stranger@example.com'].sort())
})

test('a mirror that was an insert removed records that were there before it, which insert had skipped', async () => {
  await startAnew(stack, 'hubspot', some(5), { mode: 'insert' })
  await createdByHand('person1@example.com')
  const inserted = await stack.run('contacts')
  assert.deepEqual(
    [inserted.state, inserted.counts['delivered'], inserted.counts['skipped']],
    ['succeeded', 4, 1],
    JSON.stringify(inserted),
  )
  await stack.apply(documents(stack, 'hubspot', { mode: 'mirror' }))
  await stack.warehouse.query('delete from contacts where id = 1')
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.full, run.counts['added'], run.counts['removed']], ['succeeded', true, 4, 0], JSON.stringify(run))
  assert.deepEqual(Object.keys(await held(stack, 'hubspot')).sort(), ['person1@example.com', ...Object.keys(await wanted(stack))].sort())
})

async function createdByHand(email: string): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/hubspot/crm/v3/objects/contacts/batch/create`, {
    method: 'POST',
    headers: { authorization: 'Bearer pat-other', 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ properties: { email } }] }),
  })
  assert.equal(response.status, 201)
}
