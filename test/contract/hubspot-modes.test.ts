import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Mode, PlannedRecord, RecordOutcome } from '../../connectors/contract.ts'
import { connectorError, countingGate, openBench, type Bench } from './destination-fixture.ts'
import { hubspotFixture, planned, TOKEN } from './hubspot-fixture.ts'

const read = '/crm/v3/objects/contacts/batch/read'

interface Sync {
  readonly mode: Mode
  readonly object?: string
  readonly match?: string
}

async function write(bench: Bench, records: readonly PlannedRecord[], sync: Sync): Promise<Record<string, RecordOutcome>> {
  const outcomes = await bench.destination.write({ ...bench.request(records), match: 'email', ...sync }, countingGate())
  return Object.fromEntries(outcomes.map((outcome) => [outcome.id, outcome]))
}

async function readBack(bench: Bench, records: readonly PlannedRecord[], sync: Sync): Promise<Record<string, string>> {
  const answer = await bench.destination.readBack?.({ ...bench.request(records), match: 'email', ...sync }, countingGate())
  return Object.fromEntries(answer ?? [])
}

/** What another app of the account does, by the plain API. */
async function api(bench: Bench, method: string, path: string, body?: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
  const response = await fetch(`${bench.url}/hubspot${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  assert.ok(response.ok, `${method} ${path}: ${response.status}`)
  return response.status === 204 ? null : response.json()
}

async function createContact(bench: Bench, properties: Record<string, string>): Promise<string> {
  const made = await api(bench, 'POST', '/crm/v3/objects/contacts', { properties })
  assert.ok(typeof made === 'object' && made !== null && 'id' in made && typeof made.id === 'string')
  return made.id
}

function stored(bench: Bench, key: string, object = 'contacts'): unknown {
  return bench.standIn.records(object).find((record) => record.key === key)?.fields
}

const ada = (id: string, more: Record<string, string> = {}, op: 'upsert' | 'delete' = 'upsert'): PlannedRecord =>
  planned(id, 1, { email: 'Ada@Example.com', ...more }, op)
const bob = (id: string, more: Record<string, string> = {}, op: 'upsert' | 'delete' = 'upsert'): PlannedRecord =>
  planned(id, 2, { email: 'bob@example.com', ...more }, op)

describe('hubspot modes', { timeout: 60_000 }, () => {
  const test = (name: string, body: (bench: Bench) => Promise<void>): void => {
    it(name, async () => {
      await using bench = await openBench(hubspotFixture)
      await body(bench)
    })
  }

  test('update: what is there is changed, what is not is rejected as missing, nothing is created', async (bench) => {
    await createContact(bench, { email: 'ada@example.com', firstname: 'Ada' })
    const outcomes = await write(bench, [ada('a', { plan: 'pro' }), bob('b', { plan: 'pro' })], { mode: 'update' })
    assert.equal(outcomes['a']?.status, 'delivered')
    const missing = outcomes['b']
    assert.ok(missing?.status === 'rejected')
    assert.deepEqual([missing.class, missing.code, missing.field], ['missing', 'OBJECT_NOT_FOUND', 'email'])
    assert.equal(bench.standIn.report().totals.records, 1)
    assert.deepEqual(await readBack(bench, [ada('a', { plan: 'pro' }), bob('b', { plan: 'pro' })], { mode: 'update' }), {
      a: 'as_wanted',
      b: 'absent',
    })
  })

  test('update by hs_object_id works, upsert and insert by it are refused before anything is sent', async (bench) => {
    const id = await createContact(bench, { email: 'ada@example.com' })
    const record = planned('a', 1, { hs_object_id: id, plan: 'free' })
    const gone = planned('b', 2, { hs_object_id: '1', plan: 'free' })
    const outcomes = await write(bench, [record, gone], { mode: 'update', match: 'hs_object_id' })
    assert.deepEqual([outcomes['a']?.status, outcomes['b']?.status], ['delivered', 'rejected'])
    const before = bench.arrived()
    for (const mode of ['upsert', 'insert', 'mirror'] as const) {
      const error = await connectorError(write(bench, [record], { mode, match: 'hs_object_id' }))
      assert.equal(error.kind, 'config')
      assert.match(error.message, /hs_object_id.*update mode/)
    }
    assert.equal(bench.arrived(), before)
  })

  test('insert: what is there is skipped and left alone, the rest is created once', async (bench) => {
    await createContact(bench, { email: 'ada@example.com', plan: 'free' })
    const outcomes = await write(bench, [ada('a', { plan: 'pro' }), bob('b', { plan: 'pro' })], { mode: 'insert' })
    assert.deepEqual([outcomes['a']?.status, outcomes['b']?.status], ['skipped', 'delivered'])
    assert.ok(JSON.stringify(stored(bench, 'ada@example.com')).includes('"plan":"free"'))
    assert.deepEqual(await readBack(bench, [ada('a', { plan: 'pro' }), bob('b', { plan: 'pro' })], { mode: 'insert' }), {
      a: 'differs',
      b: 'as_wanted',
    })
  })

  test('insert, created by another hand after the look-up: refused for several, skipped alone', async (bench) => {
    await createContact(bench, { email: 'ada@example.com', plan: 'free' })
    const blind = { do: 'status', status: 200, body: { status: 'COMPLETE', results: [] }, times: 2 } as const
    bench.sandbox.state.faults.add([{ on: 'hubspot', path: read, ...blind }])
    assert.equal((await connectorError(write(bench, [ada('a'), bob('b')], { mode: 'insert' }))).kind, 'refused')
    assert.equal((await write(bench, [ada('a')], { mode: 'insert' }))['a']?.status, 'skipped')
  })

  test('delete archives what is there, and what is gone counts as done', async (bench) => {
    await createContact(bench, { email: 'ada@example.com' })
    const deletes = [ada('a', {}, 'delete'), bob('b', {}, 'delete')]
    assert.deepEqual(await readBack(bench, deletes, { mode: 'mirror' }), { a: 'differs', b: 'as_wanted' })
    const outcomes = await write(bench, deletes, { mode: 'mirror' })
    assert.deepEqual([outcomes['a']?.status, outcomes['b']?.status], ['delivered', 'delivered'])
    assert.equal(bench.standIn.report().totals.records, 0)
    assert.deepEqual(await readBack(bench, deletes, { mode: 'mirror' }), { a: 'as_wanted', b: 'as_wanted' })
  })

  test('204 covers every record of an archive, and none of an upsert', async (bench) => {
    bench.fault({ do: 'status', status: 204 })
    assert.equal((await write(bench, [ada('a')], { mode: 'upsert' }))['a']?.status, 'in_doubt')
  })

  test('a lost archive is in doubt; a lost look-up before it is not', async (bench) => {
    await createContact(bench, { email: 'ada@example.com' })
    bench.sandbox.state.faults.add([{ on: 'hubspot', path: '/crm/v3/objects/contacts/batch/archive', do: 'drop_after' }])
    assert.equal((await connectorError(write(bench, [ada('a', {}, 'delete')], { mode: 'mirror' }))).kind, 'in_doubt')
    for (const fault of [{ do: 'drop_after' }, { do: 'html' }, { do: 'truncate' }] as const) {
      bench.sandbox.state.faults.clear()
      bench.sandbox.state.faults.add([{ on: 'hubspot', path: read, ...fault }])
      assert.equal((await connectorError(write(bench, [ada('a', {}, 'delete')], { mode: 'mirror' }))).kind, 'unreachable', fault.do)
    }
  })

  // A look-up that said nothing had every record count as absent: an upsert in doubt was written twice, a removal never made.
  test('a look-up that passes records over is asked again; one without results is no answer', async (bench) => {
    await createContact(bench, { email: 'ada@example.com', plan: 'pro' })
    const silent = { on: 'hubspot', path: read, do: 'status', status: 200 } as const
    bench.sandbox.state.faults.add([{ ...silent, body: { status: 'COMPLETE', results: [] } }])
    assert.deepEqual(await readBack(bench, [ada('a', { plan: 'pro' })], { mode: 'upsert' }), { a: 'as_wanted' })
    bench.sandbox.state.faults.add([{ ...silent, body: {} }])
    const error = await connectorError(write(bench, [ada('a', {}, 'delete')], { mode: 'mirror' }))
    assert.equal(error.kind, 'unreachable')
    bench.sandbox.state.faults.add([{ on: 'hubspot', path: read, do: 'partial' }])
    assert.equal((await write(bench, [ada('a', {}, 'delete')], { mode: 'mirror' }))['a']?.status, 'delivered')
    assert.equal(bench.standIn.report().totals.records, 0)
  })

  test('a merged contact: its additional address updates it, but never removes it', async (bench) => {
    const survivor = await createContact(bench, { email: 'ada@example.com', plan: 'free' })
    const loser = await createContact(bench, { email: 'bob@example.com' })
    await api(bench, 'POST', '/crm/v3/objects/contacts/merge', { primaryObjectId: survivor, objectIdToMerge: loser })
    const outcomes = await write(bench, [bob('b', { plan: 'pro' })], { mode: 'update' })
    assert.equal(outcomes['b']?.status, 'delivered')
    assert.match(JSON.stringify(stored(bench, 'ada@example.com')), /"plan":"pro"/)
    assert.equal((await connectorError(write(bench, [ada('a'), bob('b')], { mode: 'update' }))).kind, 'refused')
    assert.deepEqual(await readBack(bench, [bob('b', {}, 'delete')], { mode: 'mirror' }), { b: 'as_wanted' })
    assert.equal((await write(bench, [bob('b', {}, 'delete')], { mode: 'mirror' }))['b']?.status, 'delivered')
    assert.equal(bench.standIn.report().totals.records, 1)
  })

  test('an id that was merged away between look-up and update is in doubt: the answer is silent about it', async (bench) => {
    const survivor = await createContact(bench, { email: 'ada@example.com' })
    const loser = await createContact(bench, { email: 'bob@example.com' })
    await api(bench, 'POST', '/crm/v3/objects/contacts/merge', { primaryObjectId: survivor, objectIdToMerge: loser })
    const stale = {
      status: 'COMPLETE',
      results: [
        { id: loser, properties: { email: 'bob@example.com' } },
        { id: survivor, properties: { email: 'ada@example.com' } },
      ],
    }
    bench.sandbox.state.faults.add([{ on: 'hubspot', path: read, do: 'status', status: 200, body: stale }])
    const outcomes = await write(bench, [ada('a', { plan: 'pro' }), bob('b', { plan: 'pro' })], { mode: 'update' })
    assert.deepEqual([outcomes['a']?.status, outcomes['b']?.status], ['delivered', 'in_doubt'])
  })

  test('a look-up that HubSpot refuses: several records are split, a single one is rejected', async (bench) => {
    const refusal = {
      do: 'status',
      status: 400,
      body: { status: 'error', category: 'VALIDATION_ERROR', message: 'no such address ada@example.com' },
      times: 'always',
    } as const
    bench.sandbox.state.faults.add([{ on: 'hubspot', path: read, ...refusal }])
    assert.equal((await connectorError(write(bench, [ada('a'), bob('b')], { mode: 'update' }))).kind, 'refused')
    assert.equal((await connectorError(readBack(bench, [ada('a'), bob('b')], { mode: 'upsert' }))).kind, 'refused')
    assert.equal((await write(bench, [ada('a')], { mode: 'update' }))['a']?.status, 'rejected')
    assert.deepEqual(await readBack(bench, [ada('a')], { mode: 'upsert' }), { a: 'absent' })
    assert.deepEqual(await readBack(bench, [ada('a', {}, 'delete')], { mode: 'mirror' }), { a: 'differs' })
  })

  test('match values that HubSpot folds into one are never in one batch', async (bench) => {
    const before = bench.arrived()
    const error = await connectorError(write(bench, [ada('a'), planned('b', 2, { email: ' ADA@example.com' })], { mode: 'upsert' }))
    assert.equal(error.kind, 'refused')
    assert.equal(bench.arrived(), before)
    assert.equal(bench.destination.fold(' ADA@example.com', null), bench.destination.fold('ada@Example.com', null))
  })

  test('NULL and empty text clear', async (bench) => {
    await write(bench, [ada('a', { firstname: 'Ada', plan: 'pro' })], { mode: 'upsert' })
    await write(bench, [ada('a2', { firstname: String(JSON.parse(bench.destination.clear)), plan: '' })], { mode: 'upsert' })
    const fields = stored(bench, 'ada@example.com')
    assert.ok(typeof fields === 'object' && fields !== null && !('firstname' in fields) && !('plan' in fields))
    assert.deepEqual(await readBack(bench, [ada('a2', { firstname: '', plan: '' })], { mode: 'upsert' }), { a2: 'as_wanted' })
  })

  test('companies, deals, tickets and products by a unique property of their own', async (bench) => {
    const objects: [object: string, match: string, fields: Record<string, string>][] = [
      ['companies', 'external_id', { name: 'Analytical Engines' }],
      ['deals', 'external_id', { dealname: 'Engine', dealstage: 'closedwon', amount: '10.50' }],
      ['tickets', 'external_id', { subject: 'Broken', hs_pipeline_stage: '1' }],
      ['products', 'hs_sku', { name: 'Engine', price: '1' }],
    ]
    for (const [object, match, fields] of objects) {
      const record = planned(`v-${object}`, 1, { [match]: 'x-1', ...fields })
      assert.equal((await write(bench, [record], { mode: 'upsert', object, match }))[record.id]?.status, 'delivered', object)
      assert.deepEqual(await readBack(bench, [record], { mode: 'upsert', object, match }), { [record.id]: 'as_wanted' })
      const described = await bench.destination.describe(object, new AbortController().signal)
      assert.equal(described?.fields.find((field) => field.name === match)?.unique, true)
    }
    const domain = await connectorError(
      write(bench, [planned('v', 1, { domain: 'a.example', name: 'A' })], { mode: 'update', object: 'companies', match: 'domain' }),
    )
    assert.equal(domain.kind, 'config')
    assert.match(domain.message, /domain.*not unique/)
  })

  test('custom objects by name, full name and type id; an unknown one names its neighbours', async (bench) => {
    const external = { name: 'vin', type: 'string', fieldType: 'text', hasUniqueValue: true }
    const schema = {
      name: 'cars',
      labels: { singular: 'Car', plural: 'Cars' },
      requiredProperties: ['vin'],
      properties: [external, { name: 'doors', type: 'number', fieldType: 'number' }],
    }
    const made = await api(bench, 'POST', '/crm/v3/schemas', schema)
    assert.ok(typeof made === 'object' && made !== null && 'objectTypeId' in made && 'fullyQualifiedName' in made)
    for (const [index, object] of ['cars', String(made.fullyQualifiedName), String(made.objectTypeId)].entries()) {
      const described = await bench.destination.describe(object, new AbortController().signal)
      const vin = described?.fields.find(({ name }) => name === 'vin')
      assert.deepEqual([vin?.unique, vin?.requiredOnCreate], [true, true])
      const record = planned(`v-${index}`, index, { vin: `vin-${index}`, doors: '4' })
      assert.equal((await write(bench, [record], { mode: 'upsert', object, match: 'vin' }))[record.id]?.status, 'delivered')
    }
    assert.equal(bench.standIn.records('cars').length, 3)
    const error = await connectorError(bench.destination.describe('contact', new AbortController().signal))
    assert.equal(error.kind, 'config')
    assert.match(error.message, /nearest names are contacts/)
  })
})
