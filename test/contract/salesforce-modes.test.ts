import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Mode, PlannedRecord, RecordOutcome } from '../../connectors/contract.ts'
import { DEFAULT_OWNER_ID } from '../../connectors/salesforce/stand-in-org.ts'
import { connectorError, countingGate, openBench, type Bench } from './destination-fixture.ts'
import { account, planned, salesforceFixture } from './salesforce-fixture.ts'

interface Sync {
  readonly mode: Mode
  readonly object?: string
  readonly match?: string
}

async function write(bench: Bench, records: readonly PlannedRecord[], sync: Sync): Promise<Record<string, RecordOutcome>> {
  const outcomes = await bench.destination.write({ ...bench.request(records), ...sync }, countingGate())
  return Object.fromEntries(outcomes.map((outcome) => [outcome.id, outcome]))
}

async function readBack(bench: Bench, records: readonly PlannedRecord[], sync: Sync): Promise<Record<string, string>> {
  const answer = await bench.destination.readBack?.({ ...bench.request(records), ...sync }, countingGate())
  return Object.fromEntries(answer ?? [])
}

function statuses(outcomes: Record<string, RecordOutcome>): Record<string, string> {
  return Object.fromEntries(
    Object.values(outcomes).map((outcome) => [
      outcome.id,
      outcome.status === 'rejected' ? `${outcome.class} ${outcome.code}` : outcome.status,
    ]),
  )
}

/** What another app of the org does, by the plain API. */
async function create(bench: Bench, object: string, fields: object): Promise<string> {
  const login = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'another', client_secret: 'another' })
  const session = await fetch(`${bench.url}/salesforce/services/oauth2/token`, { method: 'POST', body: login })
  const { access_token: token } = (await session.json()) as { access_token: string }
  const response = await fetch(`${bench.url}/salesforce/services/data/v66.0/sobjects/${object}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  })
  const body = (await response.json()) as { id: string }
  assert.equal(response.status, 201, JSON.stringify(body))
  return body.id
}

function stored(bench: Bench, key: string, object = 'Account'): Record<string, unknown> | undefined {
  return bench.standIn.records(object).find((record) => record.key === key)?.fields as Record<string, unknown> | undefined
}

const ada = (id: string, more: object = {}, op: 'upsert' | 'delete' = 'upsert') => planned(id, 1, { External_Id__c: 'Ada', ...more }, op)
const bob = (id: string, more: object = {}, op: 'upsert' | 'delete' = 'upsert') => planned(id, 2, { External_Id__c: 'bob', ...more }, op)
const many = (count: number) => Array.from({ length: count }, (_, i) => planned(`v${i}`, i, account(i)))

describe('salesforce modes', { timeout: 60_000 }, () => {
  const test = (name: string, body: (bench: Bench) => Promise<void>): void => {
    it(name, async () => {
      await using bench = await openBench(salesforceFixture)
      await body(bench)
    })
  }

  test('update: what is there is changed, what is not is rejected as missing, nothing is created', async (bench) => {
    await create(bench, 'Account', { Name: 'Ada', External_Id__c: 'ada' })
    const records = [ada('a', { Plan__c: 'pro' }), bob('b', { Plan__c: 'pro' })]
    assert.deepEqual(statuses(await write(bench, records, { mode: 'update' })), { a: 'delivered', b: 'missing NOT_FOUND' })
    assert.equal(bench.standIn.report().totals.records, 1)
    // The match value that is there already is left as it is.
    assert.equal(stored(bench, 'ada')?.['Plan__c'], 'pro')
    assert.deepEqual(await readBack(bench, records, { mode: 'update' }), { a: 'as_wanted', b: 'absent' })
  })

  test('update by Id, of 15 or 18 characters', async (bench) => {
    const id = await create(bench, 'Account', { Name: 'Ada', External_Id__c: 'ada' })
    const records = [planned('a', 1, { Id: id.slice(0, 15), Plan__c: 'free' }), planned('b', 2, { Id: '001000000000XYZ', Plan__c: 'free' })]
    const outcomes = await write(bench, records, { mode: 'update', match: 'Id' })
    assert.deepEqual(statuses(outcomes), { a: 'delivered', b: 'missing NOT_FOUND' })
    assert.equal(stored(bench, 'ada')?.['Plan__c'], 'free')
  })

  test('insert: creates what is not there, skips what is, a value taken in between included', async (bench) => {
    await create(bench, 'Account', { Name: 'theirs', External_Id__c: 'ADA' })
    const message = 'duplicate value found: External_Id__c duplicates value on record with id: 001000000000001'
    bench.standIn.configure?.({ rowFaults: [{ key: 'bob', statusCode: 'DUPLICATE_VALUE', message }] })
    const records = [ada('a', { Name: 'ours' }), bob('b', { Name: 'ours' }), planned('c', 3, { External_Id__c: 'cyd', Name: 'ours' })]
    assert.deepEqual(statuses(await write(bench, records, { mode: 'insert' })), { a: 'skipped', b: 'skipped', c: 'delivered' })
    assert.equal(stored(bench, 'ADA')?.['Name'], 'theirs')
  })

  test('delete: what is there goes, what is not is done already, what went in between too', async (bench) => {
    await create(bench, 'Account', { Name: 'Ada', External_Id__c: 'ada' })
    await create(bench, 'Account', { Name: 'Cyd', External_Id__c: 'cyd' })
    bench.standIn.configure?.({ rowFaults: [{ key: 'cyd', statusCode: 'ENTITY_IS_DELETED', message: 'entity is deleted' }] })
    const records = [ada('a', {}, 'delete'), bob('b', {}, 'delete'), planned('c', 3, { External_Id__c: 'cyd' }, 'delete')]
    assert.deepEqual(await readBack(bench, records, { mode: 'mirror' }), { a: 'differs', b: 'as_wanted', c: 'differs' })
    assert.deepEqual(statuses(await write(bench, records, { mode: 'mirror' })), { a: 'delivered', b: 'delivered', c: 'delivered' })
    assert.equal(stored(bench, 'ada'), undefined)
  })

  test('an external id that two records hold: nobody can tell which is meant', async (bench) => {
    for (const name of ['one', 'two']) await create(bench, 'Account', { Name: name, Legacy_Id__c: 'twin' })
    const record = planned('a', 1, { Legacy_Id__c: 'Twin', Name: 'Ada' })
    for (const mode of ['upsert', 'update'] as const) {
      const outcomes = await write(bench, [record], { mode, match: 'Legacy_Id__c' })
      assert.deepEqual(statuses(outcomes), { a: 'conflict DUPLICATE_EXTERNAL_ID' })
    }
    const removal = planned('a', 1, { Legacy_Id__c: 'Twin' }, 'delete')
    assert.deepEqual(statuses(await write(bench, [removal], { mode: 'mirror', match: 'Legacy_Id__c' })), {
      a: 'conflict DUPLICATE_EXTERNAL_ID',
    })
    assert.equal(bench.standIn.report().totals.records, 2)
  })

  test('two records of a batch that Salesforce holds for one are not sent together', async (bench) => {
    const error = await connectorError(
      write(bench, [ada('a', { Name: 'x' }), planned('b', 2, { External_Id__c: ' ADA', Name: 'y' })], { mode: 'upsert' }),
    )
    assert.equal(error.kind, 'refused')
    assert.equal(bench.standIn.report().totals.effective, 0)
    const sensitive = [planned('a', 1, { Case_Key__c: 'k', Name: 'x' }), planned('b', 2, { Case_Key__c: 'K', Name: 'y' })]
    assert.deepEqual(statuses(await write(bench, sensitive, { mode: 'upsert', match: 'Case_Key__c' })), { a: 'delivered', b: 'delivered' })
    const numbers = [planned('a', 1, { Number_Key__c: 42, Name: 'x' }), planned('b', 2, { Number_Key__c: 7, Name: 'y' })]
    assert.deepEqual(statuses(await write(bench, numbers, { mode: 'upsert', match: 'Number_Key__c' })), { a: 'delivered', b: 'delivered' })
    // A removal carries its match value as text.
    const gone = [planned('a', 1, { Number_Key__c: '42.0' }, 'delete')]
    assert.deepEqual(statuses(await write(bench, gone, { mode: 'mirror', match: 'Number_Key__c' })), { a: 'delivered' })
    assert.equal(bench.standIn.report().totals.records, 3)
  })

  test('NULL clears; a checkbox is unchecked, a parent unlinked', async (bench) => {
    await create(bench, 'Account', { Name: 'Acme', External_Id__c: 'acme' })
    const sync = { mode: 'upsert', object: 'Contact' } as const
    const full = ada('a', { LastName: 'L', MRR__c: 1.5, Active__c: true, 'Account.External_Id__c': 'ACME' })
    assert.deepEqual(statuses(await write(bench, [full], sync)), { a: 'delivered' })
    assert.match(String(stored(bench, 'Ada', 'Contact')?.['AccountId']), /^001/)
    assert.deepEqual(await readBack(bench, [full], sync), { a: 'as_wanted' })
    const empty = ada('b', { LastName: 'L', MRR__c: null, Active__c: null, 'Account.External_Id__c': null })
    assert.deepEqual(await readBack(bench, [empty], sync), { b: 'differs' })
    assert.deepEqual(statuses(await write(bench, [empty], sync)), { b: 'delivered' })
    const { AccountId, MRR__c, Active__c } = stored(bench, 'Ada', 'Contact') ?? {}
    assert.deepEqual([AccountId, MRR__c, Active__c], [undefined, undefined, false])
    assert.deepEqual(await readBack(bench, [empty], sync), { b: 'as_wanted' })
  })

  test('a relationship that may lead to several objects names the one', async (bench) => {
    await create(bench, 'Lead', { LastName: 'L', Company: 'C', External_Id__c: 'lead-1' })
    const sync = { mode: 'upsert', object: 'Task' } as const
    const task = ada('a', { Subject: 'call', 'Lead:Who.External_Id__c': 'lead-1' })
    assert.deepEqual(statuses(await write(bench, [task], sync)), { a: 'delivered' })
    assert.match(String(stored(bench, 'Ada', 'Task')?.['WhoId']), /^00Q/)
    assert.deepEqual(await readBack(bench, [task], sync), { a: 'as_wanted' })
    const vague = await connectorError(write(bench, [ada('a', { 'Who.External_Id__c': 'lead-1' })], sync))
    assert.match(vague.message, /Who may lead to Contact, Lead; say to which, for example Contact:Who\.External_Id__c/)
    const twice = await connectorError(
      write(bench, [ada('a', { 'Lead:Who.External_Id__c': 'x', 'Contact:Who.External_Id__c': 'y' })], sync),
    )
    assert.match(twice.message, /set the same lookup/)
  })

  test('refusals by their class, Salesforce’s words without the values', async (bench) => {
    await create(bench, 'Account', { Name: 'other', Tax_Number__c: 'private-tax' })
    const cases: [string, object, string][] = [
      ['required', { Plan__c: 'pro' }, 'data REQUIRED_FIELD_MISSING'],
      ['long', { Name: 'private-'.repeat(40) }, 'data STRING_TOO_LONG'],
      ['email', { Name: 'n', email_field__c: 'private-1' }, 'data INVALID_EMAIL_ADDRESS'],
      ['taken', { Name: 'n', Tax_Number__c: 'private-tax' }, 'conflict DUPLICATE_VALUE'],
      ['parent', { Name: 'n', 'Parent.External_Id__c': 'private-9' }, 'missing INVALID_FIELD'],
      ['reference', { Name: 'n', ParentId: '001000000000XYZAA2' }, 'missing INVALID_CROSS_REFERENCE_KEY'],
      ['good', { Name: 'n' }, 'delivered'],
    ]
    const outcomes = await write(
      bench,
      cases.map(([id, fields], n) => planned(id, n, { External_Id__c: `key-${id}`, ...fields })),
      { mode: 'upsert' },
    )
    assert.deepEqual(statuses(outcomes), Object.fromEntries(cases.map(([id, , wanted]) => [id, wanted])))
    for (const outcome of Object.values(outcomes))
      if (outcome.status === 'rejected') assert.ok(!/private-/.test(outcome.message), outcome.message)
    const { long } = outcomes
    assert.ok(long?.status === 'rejected')
    assert.deepEqual(
      [long.field, long.message],
      ['Name', 'STRING_TOO_LONG. Salesforce says: Account Name: data value too large: … (max length=255)'],
    )
  })

  test('a field that this user may not see stops the run, not the row', async (bench) => {
    await write(bench, [ada('a', { Name: 'x' })], { mode: 'upsert' })
    bench.standIn.configure?.({ hiddenFields: ['Account.MRR__c'] })
    const error = await connectorError(write(bench, [ada('b', { Name: 'x', MRR__c: 1 })], { mode: 'upsert' }))
    assert.equal(error.kind, 'config')
    assert.match(error.message, /field-level security/)
    const key = await connectorError(write(bench, [planned('c', 1, { Name: 'x' })], { mode: 'upsert', match: 'Name' }))
    assert.match(key.message, /Name is no external id/)
  })

  test('a lock is waited for and met in smaller batches; one that stays is told as such', async (bench) => {
    bench.standIn.configure?.({ lockAbove: 60 })
    const outcomes = await write(bench, many(130), { mode: 'upsert' })
    assert.deepEqual(new Set(Object.values(outcomes).map(({ status }) => status)), new Set(['delivered']))
    const trigger =
      'tr: execution of AfterUpdate caused by: System.DmlException: first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access'
    const fault = { key: 'private-7', statusCode: 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', message: trigger }
    bench.standIn.configure?.({ lockAbove: null, rowFaults: [{ ...fault, times: 2 }] })
    assert.deepEqual(statuses(await write(bench, many(10), { mode: 'upsert' }))['v7'], 'delivered')
    const error = { key: 'private-8', statusCode: 'UNKNOWN_EXCEPTION', message: 'An unexpected error occurred.' }
    bench.standIn.configure?.({ rowFaults: [{ ...error, times: 2 }] })
    assert.deepEqual(statuses(await write(bench, many(10), { mode: 'upsert' }))['v8'], 'delivered')
    bench.standIn.configure?.({ rowFaults: [{ ...fault, times: 100 }] })
    assert.deepEqual(statuses(await write(bench, many(10), { mode: 'upsert' }))['v7'], 'locked CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY')
  })

  test('an answer lost while locked rows are sent again leaves the others as they were told', async (bench) => {
    bench.standIn.configure?.({
      rowFaults: [{ key: 'private-1', statusCode: 'UNABLE_TO_LOCK_ROW', message: 'unable to obtain exclusive access' }],
    })
    bench.sandbox.state.faults.add([{ on: 'salesforce', ...salesforceFixture.writes, nth: 2, do: 'drop_after' }])
    assert.deepEqual(statuses(await write(bench, many(3), { mode: 'upsert' })), { v0: 'delivered', v1: 'in_doubt', v2: 'delivered' })
  })

  test('the race for a new external id: the second one is sent again and becomes an update', async (bench) => {
    const message = 'duplicate value found: External_Id__c duplicates value on record with id: 001000000000001'
    bench.standIn.configure?.({ rowFaults: [{ key: 'Ada', statusCode: 'DUPLICATE_VALUE', message }] })
    assert.deepEqual(statuses(await write(bench, [ada('a', { Name: 'x' })], { mode: 'upsert' })), { a: 'delivered' })
  })

  test('storage full and no permission end the run, unless something went through', async (bench) => {
    const full = { statusCode: 'STORAGE_LIMIT_EXCEEDED', message: 'storage limit exceeded' }
    bench.standIn.configure?.({ rowFaults: [{ key: 'private-1', ...full }] })
    assert.deepEqual(statuses(await write(bench, many(2), { mode: 'upsert' })), { v0: 'delivered', v1: 'retry' })
    bench.standIn.configure?.({ rowFaults: [{ key: '*', ...full, times: 9 }] })
    const storage = await connectorError(write(bench, many(2), { mode: 'upsert' }))
    assert.deepEqual([storage.kind, storage.code], ['destination', 'STORAGE_LIMIT_EXCEEDED'])
    const denied = { statusCode: 'INSUFFICIENT_ACCESS_OR_READONLY', message: 'insufficient access rights on object id' }
    bench.standIn.configure?.({ rowFaults: [{ key: 'private-1', ...denied }] })
    assert.deepEqual(statuses(await write(bench, many(2), { mode: 'upsert' })), {
      v0: 'delivered',
      v1: 'permission INSUFFICIENT_ACCESS_OR_READONLY',
    })
    bench.standIn.configure?.({ rowFaults: [{ key: '*', ...denied, times: 9 }] })
    assert.equal((await connectorError(write(bench, many(2), { mode: 'upsert' }))).kind, 'auth')
  })

  test('an answer that is shorter, or that names a record twice, is not believed', async (bench) => {
    const result = (id: string) => ({ id, success: true, errors: [], created: true })
    const first = '001000000000001AAA'
    const answers: [unknown, string[]][] = [
      [[result(first)], ['in_doubt', 'in_doubt', 'in_doubt']],
      [
        [result(first), result(first), result('001000000000002AAA')],
        ['in_doubt', 'in_doubt', 'delivered'],
      ],
      [
        [result(first), { success: false }, null],
        ['delivered', 'in_doubt', 'in_doubt'],
      ],
      [{ records: [] }, ['in_doubt', 'in_doubt', 'in_doubt']],
    ]
    for (const [body, wanted] of answers) {
      bench.fault({ do: 'status', status: 200, body })
      assert.deepEqual(Object.values(statuses(await write(bench, many(3), { mode: 'upsert' }))), wanted)
    }
  })

  test('assignment rules stay out, alerts of duplicate rules do not stop a write', async (bench) => {
    const owner = '005000000000009AAA'
    bench.standIn.configure?.({ duplicateAlerts: ['twin'] })
    assert.deepEqual(statuses(await write(bench, [ada('a', { Name: 'twin', OwnerId: owner })], { mode: 'upsert' })), { a: 'delivered' })
    assert.equal(stored(bench, 'Ada')?.['OwnerId'], owner)
    // What would have happened otherwise.
    await create(bench, 'Account', { Name: 'Bob', External_Id__c: 'bob', OwnerId: owner })
    assert.equal(stored(bench, 'bob')?.['OwnerId'], DEFAULT_OWNER_ID)
  })

  test('a look-up goes on to the last page', async (bench) => {
    await write(bench, many(25), { mode: 'upsert' })
    bench.standIn.configure?.({ queryPageSize: 10 })
    const found = await readBack(bench, many(25), { mode: 'upsert' })
    assert.deepEqual(new Set(Object.values(found)), new Set(['as_wanted']))
  })
})
