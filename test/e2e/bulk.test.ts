import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  createAccounts,
  documents,
  exactlyOnce,
  held,
  jobs,
  SECRETS,
  settings,
  strike,
  succeeded,
  uploads,
  wanted,
  withWorkflow,
  type REQUESTS,
} from '../harness/accounts.ts'
import { report } from '../harness/contacts.ts'
import { startStack, type Run, type Stack } from '../harness/stack.ts'

/** Bulk jobs of Salesforce through the whole product. Counted at the destination. */
const COUNT = 600

describe('bulk', { timeout: 900_000 }, () => {
  let stack: Stack

  before(async () => {
    stack = await startStack(SECRETS)
    await stack.start('api')
    await stack.start('worker')
  })
  after(() => stack.stop())
  beforeEach(async () => {
    await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
    await stack.warehouse.query('drop table if exists accounts')
    await stack.call('DELETE', '/v1/syncs/accounts')
    await createAccounts(stack, COUNT)
    await stack.apply(documents(stack))
  })

  test('many records go by a job, few by Collections, removals by a job again; the history stays short', async () => {
    const run = await stack.run('accounts')
    succeeded(run, { added: COUNT, delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    assert.equal(await uploads(stack), 1)
    const { requests } = await report(stack, 'salesforce')
    assert.ok(!requests.some(({ path }) => path.includes('composite')), 'nothing went by Collections')
    const events = await historyEvents(stack, run)
    assert.ok(events <= 100, `${events} events`)

    await stack.warehouse.query(`update accounts set name = 'changed' where id <= 20`)
    succeeded(await stack.run('accounts'), { changed: 20, delivered: 20 })
    await stack.warehouse.query('delete from accounts where id > 500')
    succeeded(await stack.run('accounts'), { removed: 100, delivered: 100 })
    assert.equal(await uploads(stack), 2)
    await exactlyOnce(stack, COUNT + 20 + 100)
    succeeded(await stack.run('accounts'), { unchanged: 500 })
  })

  test('what a CSV cannot say goes over Collections: #N/A as a text, carriage returns; NULL clears, what is skipped stays', async () => {
    await stack.apply(
      documents(stack, {
        fields: { External_Id__c: 'id', Name: 'name', Notes__c: 'notes', Seats__c: { column: 'seats', ifNull: 'skip' } },
      }),
    )
    await stack.warehouse.query(`update accounts set notes = '#N/A' where id = 1`)
    await stack.warehouse.query(`update accounts set notes = 'a' || chr(13) || chr(10) || 'b' where id = 2`)
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    await stack.warehouse.query(`update accounts set notes = null, seats = null, name = '"x", y '`)
    succeeded(await stack.run('accounts'), { changed: COUNT, delivered: COUNT })
    const rows = await held(stack)
    assert.deepEqual(rows[0], ['1', '"x", y', null, 1])
    assert.equal((await report(stack, 'salesforce')).totals.repeated, 0)
  })

  test('alerts of duplicate rules, which a job cannot pass, are passed by a call', async () => {
    await settings(stack, { duplicateAlerts: ['Account 7', 'Account 407'] })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    const { requests } = await report(stack, 'salesforce')
    assert.equal(requests.find(({ path }) => path.includes('composite'))?.count, 2)
  })

  test('records that the job refuses are rejected by their own words; the rest goes on', async () => {
    await settings(stack, {
      rowFaults: [{ key: 'Account 7', statusCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message: 'no: Account 7 is closed', times: 1 }],
    })
    const run = await stack.run('accounts')
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['rejected']], ['partial', COUNT - 1, 1], JSON.stringify(run))
    const { body } = await stack.call('GET', '/v1/syncs/accounts/rejections')
    const [rejection] = body['data'] as { code: string; message: string }[]
    assert.equal(rejection?.code, 'FIELD_CUSTOM_VALIDATION_EXCEPTION')
    assert.ok(!rejection.message.includes('Account 7'), rejection.message)
  })

  const LOST: readonly (readonly [keyof typeof REQUESTS, string])[] = [
    ['create', 'drop_before'],
    ['create', 'drop_after'],
    ['upload', 'drop_before'],
    ['upload', 'drop_after'],
    ['close', 'drop_before'],
    ['close', 'drop_after'],
    ['state', 'drop_after'],
    ['successes', 'reset_mid_body'],
    ['failures', 'truncate'],
    ['unprocessed', 'html'],
    ['discard', 'drop_after'],
  ]
  for (const [request, kind] of LOST) {
    test(`the answer to ${request} is lost (${kind}): each version takes effect once`, async () => {
      await strike(stack, request, { do: kind })
      succeeded(await stack.run('accounts'), { delivered: COUNT })
      assert.deepEqual(await held(stack), await wanted(stack))
      const { totals } = await report(stack, 'salesforce')
      assert.deepEqual([totals.effective, totals.repeated], [COUNT, 0])
      // An empty job whose id was lost does nothing and is left alone.
      assert.deepEqual(await jobs(stack), request === 'create' && kind === 'drop_after' ? { Open: 1 } : {})
    })
  }

  test('a job that fails half way keeps what it wrote; the rest goes over Collections', async () => {
    await settings(stack, { bulkFailure: 'TooManyLockFailure : Too many lock failures' })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
  })

  test('results in several pages are read to the last one, again from the first where a page is lost', async () => {
    await settings(stack, { bulkResultRows: 100 })
    await strike(stack, 'successes', { do: 'reset_mid_body', nth: 3 })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    const { requests } = await report(stack, 'salesforce')
    const pages = requests.filter(({ path }) => path.includes('successfulResults')).reduce((sum, { count }) => sum + count, 0)
    assert.equal(pages, 3 + COUNT / 100)
  })

  test('a session that ends again and again in the middle of a job is renewed, and nothing is sent twice', async () => {
    await settings(stack, { requestsPerSession: 3 })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await stack.warehouse.query('delete from accounts where id <= 100')
    succeeded(await stack.run('accounts'), { removed: 100, delivered: 100 })
    await exactlyOnce(stack, COUNT + 100)
    assert.ok(Number((await report(stack, 'salesforce')).findings['logIns']) > 2)
  })

  test('storage that is full ends the run with what to do; what the job had not done is not sent again by other calls', async () => {
    const message = 'storage limit exceeded'
    await settings(stack, { rowFaults: [{ key: '*', statusCode: 'STORAGE_LIMIT_EXCEEDED', message, times: 10_000 }] })
    const run = await stack.run('accounts')
    assert.deepEqual([run.state, run.error?.code, run.counts['inDoubt']], ['failed', 'destination', 0], JSON.stringify(run))
    assert.match(run.error?.message ?? '', /storage is full/)
    const { requests } = await report(stack, 'salesforce')
    assert.ok(!requests.some(({ path }) => path.includes('composite')), 'nothing went by Collections')
    await settings(stack, { rowFaults: [] })
    succeeded(await stack.run('accounts'), { added: COUNT, delivered: COUNT })
    await exactlyOnce(stack, COUNT)
  })

  test('records that no result file names are read back, not sent again', async () => {
    await settings(stack, { bulkForgets: 10 })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    const { requests } = await report(stack, 'salesforce')
    assert.ok(!requests.some(({ path }) => path.includes('composite')), 'all of them were there')
  })

  test('an object that Bulk does not take goes over Collections', async () => {
    await settings(stack, { bulkRefuses: ['Account'] })
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await exactlyOnce(stack, COUNT)
    assert.equal(await uploads(stack), 0)
  })

  test('update and insert keep their promises by job: nothing is made that is not there, nothing touched that is', async () => {
    await stack.apply(documents(stack, { mode: 'insert' }))
    succeeded(await stack.run('accounts'), { delivered: COUNT })
    await stack.warehouse.query(`update accounts set name = 'new name'`)
    const again = await stack.run('accounts')
    succeeded(again, { changed: COUNT, skipped: COUNT })
    assert.ok((await held(stack)).every(([id, name]) => name === `Account ${id}`))

    await stack.apply(documents(stack, { mode: 'update' }))
    await stack.warehouse.query(`update accounts set name = 'newer name'`)
    await stack.warehouse.query(`insert into accounts values (1001, 'nobody', null, 1)`)
    const updated = await stack.run('accounts')
    assert.deepEqual(
      [updated.state, updated.counts['delivered'], updated.counts['rejected']],
      ['partial', COUNT, 1],
      JSON.stringify(updated),
    )
    const rows = await held(stack)
    assert.deepEqual([rows.length, new Set(rows.map(([, name]) => name))], [COUNT, new Set(['newer name'])])
    assert.equal(await uploads(stack), 3)
    assert.equal((await report(stack, 'salesforce')).totals.repeated, 0)
  })
})

const historyEvents = (stack: Stack, run: Run): Promise<number> =>
  withWorkflow(stack, async (workflow) => (await workflow.fetchHistory()).events?.length ?? 0, run.temporal.runId)
