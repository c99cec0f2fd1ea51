import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  accept,
  addContacts,
  createContacts,
  documents,
  elsewhere,
  fault,
  held,
  outcome,
  report,
  some,
  wanted,
} from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** Salesforce through the whole product, in every mode. Counted at the destination. */
describe('salesforce', { timeout: 240_000 }, () => {
  let stack: Stack
  const counts = {
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
  })

  const settings = async (given: object): Promise<void> => {
    const response = await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ salesforce: given }) })
    assert.ok(response.ok, await response.text())
  }

  test('mirror: what arrives, changes, is renamed and leaves; a record of another hand stays', async () => {
    await stack.apply(documents(stack, 'salesforce'))
    assert.deepEqual(outcome(await stack.run('contacts')), { ...counts, state: 'succeeded', added: 30, delivered: 30 })
    await elsewhere(stack, 'POST', '/sobjects/Contact', { LastName: 'Stranger', External_Id__c: 'stranger' })
    await stack.warehouse.query(`
      update contacts set name = 'two' where id = 1;
      update contacts set email = 'moved@example.com' where id = 2;
      update contacts set email = case id when 3 then 'person4@example.com' else 'person3@example.com' end, name = 'key ' || id where id in (3, 4);
      update contacts set email = 'PERSON5@example.com' where id = 5;
      delete from contacts where id in (6, 7)`)
    await addContacts(stack, [{ id: 31, email: 'new@example.com', name: 'new' }])
    // The answer to the writes is lost, and the one to the removals too.
    await fault(
      stack,
      { on: 'salesforce', method: 'PATCH', path: 'composite/sobjects', do: 'drop_after' },
      { on: 'salesforce', method: 'DELETE', path: 'composite/sobjects', do: 'drop_after' },
    )
    const run = await stack.run('contacts')
    assert.deepEqual(outcome(run), {
      ...counts,
      state: 'succeeded',
      read: 29,
      unchanged: 23,
      added: 1,
      changed: 5,
      removed: 2,
      delivered: 8,
    })
    assert.deepEqual(await held(stack, 'salesforce'), { ...(await wanted(stack)), stranger: 'Stranger' })
    // 30 at first, one by another hand, six writes, two removals and the one of the old e-mail of key 2.
    assert.deepEqual((await report(stack, 'salesforce')).totals, { records: 30, effective: 40, repeated: 0 })
  })

  test('insert creates what is not there and leaves alone what is; a lost answer creates nothing twice', async () => {
    await elsewhere(stack, 'POST', '/sobjects/Contact', { LastName: 'theirs', External_Id__c: 'Person1@example.com' })
    await stack.apply(documents(stack, 'salesforce', { mode: 'insert' }))
    await fault(stack, { on: 'salesforce', method: 'POST', path: 'composite/sobjects', do: 'reset_mid_body' })
    const run = await stack.run('contacts')
    // What was created before the answer was lost reads back as wanted: delivered, not skipped.
    assert.deepEqual(outcome(run), { ...counts, state: 'succeeded', added: 30, delivered: 29, skipped: 1 })
    assert.deepEqual(await held(stack, 'salesforce'), { ...(await wanted(stack)), 'person1@example.com': 'theirs' })
    assert.deepEqual((await report(stack, 'salesforce')).totals, { records: 30, effective: 30, repeated: 0 })
  })

  test('update writes what is there; what is not is rejected as missing', async () => {
    for (const n of [1, 2])
      await elsewhere(stack, 'POST', '/sobjects/Contact', { LastName: 'theirs', External_Id__c: `person${n}@example.com` })
    await stack.apply(documents(stack, 'salesforce', { mode: 'update' }))
    await fault(stack, { on: 'salesforce', method: 'PATCH', path: 'composite/sobjects', do: 'truncate' })
    const run = await stack.run('contacts')
    assert.deepEqual(outcome(run), { ...counts, state: 'partial', added: 30, delivered: 2, rejected: 28, owed: 28 })
    const { body } = await stack.call('GET', '/v1/syncs/contacts/rejections?limit=1')
    const [first] = body['data'] as { class: string; code: string }[]
    assert.deepEqual([first?.class, first?.code], ['missing', 'NOT_FOUND'])
    assert.deepEqual(await held(stack, 'salesforce'), { 'person1@example.com': 'one', 'person2@example.com': 'one' })
    assert.deepEqual((await report(stack, 'salesforce')).totals, { records: 2, effective: 4, repeated: 0 })
  })

  test('parents by their external id: what has one is linked, what has none waits under rejections', async () => {
    await elsewhere(stack, 'POST', '/sobjects/Account', { Name: 'Acme', External_Id__c: 'person1@example.com' })
    const fields = { External_Id__c: 'email', LastName: 'name', 'Account.External_Id__c': 'email' }
    await stack.apply(documents(stack, 'salesforce', { mode: 'upsert', fields }))
    await stack.warehouse.query('delete from contacts where id > 2')
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['rejected']], ['partial', 1, 1], JSON.stringify(run))
    const { body } = await stack.call('GET', '/v1/syncs/contacts/rejections')
    const [rejection] = body['data'] as { class: string; code: string; message: string }[]
    assert.deepEqual([rejection?.class, rejection?.code], ['missing', 'INVALID_FIELD'])
    assert.match(rejection?.message ?? '', /Foreign key external ID: … not found/)
  })

  test('a session that ends again and again in the middle of a run is renewed, and nothing is sent twice', async () => {
    await stack.apply(documents(stack, 'salesforce'))
    await settings({ requestsPerSession: 2 })
    const run = await stack.run('contacts')
    assert.deepEqual(outcome(run), { ...counts, state: 'succeeded', added: 30, delivered: 30 })
    await stack.warehouse.query('delete from contacts where id <= 10')
    assert.equal((await stack.run('contacts')).state, 'succeeded')
    const { totals, findings } = await report(stack, 'salesforce')
    assert.deepEqual(totals, { records: 20, effective: 40, repeated: 0 })
    assert.ok(Number(findings['logIns']) > 2)
  })

  test('a session that is refused although it is new ends the run with what to do', async () => {
    await stack.apply(documents(stack, 'salesforce'))
    await stack.run('contacts')
    await settings({ rejectSessions: true })
    await stack.warehouse.query(`update contacts set name = 'two'`)
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.error?.code], ['failed', 'auth'])
    assert.match(run.error?.message ?? '', /session policy/)
  })

  test('our share of the daily calls is used up: the run waits and says so, and can be cancelled', async () => {
    // Of an account of its own, because the pause outlives the run.
    await stack.apply(documents(stack, 'salesforce', {}, { clientId: 'modest', dailyRequestShare: 0.5 }))
    await settings({ usedRequests: 7_500 })
    const id = await accept(stack)
    const waiting = await stack.waiting(id)
    assert.equal(waiting.state, 'delivering')
    assert.match(waiting.waiting?.reason ?? '', /of the org's 15000 daily API calls are used.*50 %/)
    assert.equal((await stack.call('POST', `/v1/runs/${id}/cancel`)).status, 202)
    assert.equal((await stack.ended(id)).state, 'cancelled')
    assert.equal((await report(stack, 'salesforce')).totals.records, 0)
  })

  test('rows that meet a lock go on in smaller batches; storage that is full ends the run', async () => {
    await stack.apply(documents(stack, 'salesforce'))
    await settings({ lockAbove: 12 })
    assert.deepEqual(outcome(await stack.run('contacts')), { ...counts, state: 'succeeded', added: 30, delivered: 30 })
    assert.deepEqual((await report(stack, 'salesforce')).totals, { records: 30, effective: 30, repeated: 0 })
    const message = 'storage limit exceeded'
    await settings({ lockAbove: null, rowFaults: [{ key: '*', statusCode: 'STORAGE_LIMIT_EXCEEDED', message, times: 1_000 }] })
    await stack.warehouse.query(`update contacts set name = 'two'`)
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.error?.code], ['failed', 'destination'])
    assert.match(run.error?.message ?? '', /storage is full/)
  })

  test('what would not work is refused before anything is sent; an external id that is not unique is a warning', async () => {
    const check = async (sync: object): Promise<{ status: number; body: Record<string, unknown> }> =>
      stack.call('POST', '/v1/config/validate', { documents: documents(stack, 'salesforce', sync), connect: true })
    const wrong: [object, RegExp][] = [
      [{ object: 'Contakt' }, /no object Contakt.*Contact/],
      [{ match: 'Tax_Number__c', fields: { Tax_Number__c: 'email', LastName: 'name' } }, /needs an external id field/],
      [{ match: 'Email', fields: { Email: 'email', LastName: 'name' } }, /Email of Contact is not unique/],
      [{ mode: 'insert', match: 'Legacy_Id__c', fields: { Legacy_Id__c: 'email', LastName: 'name' } }, /insert needs a unique match field/],
      [{ fields: { External_Id__c: 'email' } }, /LastName is required/],
      [{ fields: { External_Id__c: 'email', LastName: 'name', Formula__c: 'name' } }, /Formula__c of Contact is read-only/],
      [{ fields: { External_Id__c: 'email', LastName: 'name', Active__c: 'id' } }, /Active__c: a integer column does not fit/],
      [{ fields: { External_Id__c: 'email', LastName: 'name', 'Owner.Username': 'name' } }, /Username is no external id of User/],
    ]
    for (const [sync, message] of wrong) {
      const { status, body } = await check(sync)
      assert.equal(status, 422, JSON.stringify(body))
      assert.match(JSON.stringify(body['errors']), message)
    }
    const { status, body } = await check({ match: 'Legacy_Id__c', fields: { Legacy_Id__c: 'email', LastName: 'name' } })
    assert.equal(status, 200, JSON.stringify(body))
    assert.match(JSON.stringify(body['warnings']), /external id but not unique/)
    assert.equal((await report(stack, 'salesforce')).totals.effective, 0)
  })
})
