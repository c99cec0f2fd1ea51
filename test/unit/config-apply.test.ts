import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import { documentsOf, startConfigApi, type Answer, type ConfigApi, type Documents, type Json } from './config-api.ts'
import { ALL, DESTINATION, SYNC } from './config-folder.ts'

const all = documentsOf(ALL)
const without = (kind: string): Documents => all.filter((document) => document['kind'] !== kind)
const changed = (kind: string, change: Json): Documents =>
  all.map((document) => (document['kind'] === kind ? { ...document, ...change } : document))
const summary = ({ body }: Answer): string[] =>
  (body['changes'] as Json[]).map(({ op, kind, name }) => `${String(op)} ${String(kind)} ${String(name)}`)

describe('documents through the API', () => {
  let api: ConfigApi
  before(async () => {
    api = await startConfigApi()
  })
  after(() => api.close())
  beforeEach(() => api.reset())

  test('plan, apply and prune make the round trip', async () => {
    const order = ['create Source warehouse', 'create Destination crm', 'create Model customers', 'create Sync customers-to-crm']
    assert.deepEqual(summary(await api.post('plan', all)), order)
    assert.deepEqual(await api.stored(), [])
    assert.deepEqual(summary(await api.post('apply', all)), order)
    assert.deepEqual((await api.post('plan', all)).body, { changes: [], unchanged: 4, effects: [], warnings: [] })
    assert.deepEqual((await api.post('apply', all)).body['changes'], [])
    assert.equal(api.applied, 1)

    const other = changed('Model', { sql: 'select 2' })
    const plan = await api.post('plan', other)
    assert.deepEqual(plan.body['changes'], [
      {
        op: 'update',
        kind: 'Model',
        name: 'customers',
        paths: [{ pointer: '/sql', before: 'select id, email from customers', after: 'select 2' }],
      },
    ])
    await api.post('apply', other)
    assert.deepEqual(await api.stored(), ['Destination 1', 'Model 2', 'Source 1', 'Sync 1'])

    const fewer = other.filter((document) => document['kind'] !== 'Sync')
    assert.deepEqual((await api.post('plan', fewer)).body['changes'], [])
    assert.deepEqual(summary(await api.post('plan', fewer, { prune: true })), ['delete Sync customers-to-crm'])
    assert.deepEqual(summary(await api.post('apply', [], { prune: true })), [
      'delete Sync customers-to-crm',
      'delete Model customers',
      'delete Destination crm',
      'delete Source warehouse',
    ])
    assert.deepEqual(await api.stored(), [])
  })

  test('apply is all or nothing', async () => {
    const broken = [...documentsOf(DESTINATION.replace('name: crm', 'name: other')), ...changed('Sync', { model: 'customer' })]
    const refused = await api.post('apply', broken)
    assert.equal(refused.status, 422)
    assert.deepEqual(refused.body, {
      status: 422,
      code: 'config',
      detail: '/documents/4/model: there is no Model "customer"; there are customers',
      errors: [{ pointer: '/documents/4/model', message: 'there is no Model "customer"; there are customers' }],
    })
    assert.deepEqual(await api.stored(), [])
    assert.equal(api.applied, 0)
  })

  test('documents that are wrong by themselves are refused with every place', async () => {
    const { status, body } = await api.post('validate', [
      ...changed('Sync', { mode: 'upset', feilds: {} }),
      { kind: 'Model', name: 'm', source: 'x', sqlFile: 'a.sql', primaryKey: 'id' },
    ])
    assert.equal(status, 400)
    assert.equal(body['code'], 'validation')
    assert.deepEqual(body['errors'], [
      { pointer: '/documents/3/feilds', message: 'unknown key "feilds"; did you mean "fields"?' },
      { pointer: '/documents/3/mode', message: 'must be one of upsert, update, insert, mirror; did you mean "upsert"?' },
      { pointer: '/documents/4/sqlFile', message: 'sqlFile is read by the CLI; send the content of the file as "sql"' },
    ])
    assert.deepEqual((await api.post('validate', all)).body, { valid: true, warnings: [] })
  })

  test('what is stored counts, and must not be broken', async () => {
    await api.post('apply', all)
    assert.equal((await api.post('plan', documentsOf(SYNC.replace('customers-to-crm', 'second')))).status, 200)
    const hook = { kind: 'Destination', name: 'crm', connector: 'webhook', config: { url: 'https://x.example', secret: '${env:S}' } }
    assert.equal((await api.post('apply', [hook])).status, 200)
    const bare = documentsOf(SYNC.replace('object: contacts\n', '').replace('match: email\n', ''))
    assert.equal((await api.post('apply', bare)).status, 200)
    const back = await api.post('plan', documentsOf(DESTINATION))
    assert.deepEqual(back.body['errors'], [
      { pointer: '', message: 'Sync customers-to-crm (stored): "object" is missing; a sync to hubspot must name the object it writes' },
      {
        pointer: '',
        message:
          'Sync customers-to-crm (stored): "match" is missing; a sync to hubspot must name the unique field that identifies a record',
      },
    ])
  })

  test('prune takes nothing away that is still used', async () => {
    await api.post('apply', all)
    const { status, body } = await api.post('apply', without('Model'), { prune: true })
    assert.equal(status, 422)
    assert.equal(
      body['detail'],
      '/documents/2/model: uses the Model "customers", which is stored but not given, so that --prune would delete it',
    )
    assert.equal((await api.stored()).length, 4)
  })

  test('a sync with a run is not deleted; without one it leaves nothing behind but its runs', async () => {
    await api.post('apply', all)
    const run = randomUUID()
    await api.database.pool.query(`insert into run (id, sync, slot, trigger) values ($1, 'customers-to-crm', 'active', 'api')`, [run])
    await api.database.pool.query(`insert into sync_state (sync, active_run) values ('customers-to-crm', $1)`, [run])
    await api.database.pool.query(`insert into baseline_segment values ('customers-to-crm', 0, '\\x01', 1, '\\x01', 1, '\\x00')`)
    const refused = await api.post('apply', [], { prune: true })
    assert.equal(refused.status, 409)
    assert.equal(refused.body['code'], 'run_active')
    assert.equal(
      refused.body['detail'],
      'the sync customers-to-crm cannot be deleted while a run is active or queued: cancel it, or wait for its end',
    )
    assert.equal((await api.call('DELETE', '/v1/syncs/customers-to-crm')).body['code'], 'run_active')
    assert.equal((await api.stored()).length, 4)

    await api.database.pool.query('update run set slot = null')
    assert.equal((await api.call('DELETE', '/v1/syncs/customers-to-crm')).status, 204)
    const left = await api.database.pool.query<{ rows: string }>(
      `select (select count(*) from sync_state) || ' ' || (select count(*) from baseline_segment) || ' ' || (select count(*) from run) as rows`,
    )
    assert.equal(left.rows[0]?.rows, '0 0 1')
  })

  test('plan says what is sent again', async () => {
    await api.post('apply', all)
    const messages = async (documents: Documents) =>
      ((await api.post('plan', documents)).body['effects'] as Json[]).map(({ message }) => message)
    const fields = { email: 'email', id: 'id' }
    assert.deepEqual(await messages(changed('Sync', { match: 'id', fields })), [])
    api.sizes = { 'customers-to-crm': 9980 }
    assert.deepEqual(await messages(changed('Sync', { match: 'id', fields })), [
      'sync customers-to-crm: match changed, so it starts a new baseline; 9,980 records will be sent again, nothing is removed for the old one',
    ])
    assert.deepEqual(await messages(changed('Model', { primaryKey: ['id', 'email'] })), [
      'sync customers-to-crm: primaryKey changed, so it starts a new baseline; 9,980 records will be sent again, nothing is removed for the old one',
    ])
    assert.deepEqual(await messages(changed('Sync', { mode: 'insert' })), [
      'sync customers-to-crm: mode changed, so it starts a new baseline; 9,980 records will be sent again, nothing is removed for the old one',
    ])
    assert.deepEqual(await messages(changed('Sync', { mode: 'update' })), [])
    assert.deepEqual(await messages(changed('Model', { primaryKey: ['id'], sql: 'select 3' })), [])
    assert.deepEqual(await messages(changed('Sync', { fields })), [
      'sync customers-to-crm: the mapping changed, so the next run is full; 9,980 records will be sent again',
    ])
    assert.deepEqual(
      await messages(changed('Destination', { config: { accessToken: '${env:HUBSPOT_TOKEN}', baseUrl: 'https://eu.example' } })),
      [
        'sync customers-to-crm: config.baseUrl changed of its destination; it goes on believing that 9,980 records are there. If it is another account now, give the destination a new name, or run with --verify',
      ],
    )
  })

  test('connect asks a worker about the syncs that are concerned', async () => {
    await api.post('apply', [...all, ...documentsOf(SYNC.replace('customers-to-crm', 'second'))])
    api.answers = [
      { level: 'error', sync: 'customers-to-crm', pointer: '/fields', message: 'the model has no column emial; it has id, email' },
      { level: 'error', sync: 'customers-to-crm', pointer: '/primaryKey', message: 'the model has no column id; it has email' },
    ]
    const { status, body } = await api.post('validate', all.slice(1), { connect: true })
    assert.equal(status, 422)
    assert.deepEqual(body['errors'], [
      { pointer: '/documents/2/fields', message: 'the model has no column emial; it has id, email' },
      { pointer: '/documents/0/primaryKey', message: 'the model has no column id; it has email' },
    ])
    assert.deepEqual(
      api.asked.map((syncs) => Object.keys(syncs).sort()),
      [['customers-to-crm', 'second']],
    )
    assert.equal(api.asked[0]?.['second']?.source.connector, 'postgres')
    const warning = { level: 'warning', sync: 'customers-to-crm', pointer: '/match', message: 'email is not unique' } as const
    api.answers = [warning]
    for (const verb of ['validate', 'plan', 'apply'] as const) {
      const { body: passed } = await api.post(verb, all, { connect: true })
      const pointer = `/documents/${all.findIndex(({ kind }) => kind === 'Sync')}/match`
      assert.deepEqual(passed['warnings'], [{ pointer, message: warning.message }], verb)
    }
    const reader = await api.call('POST', '/v1/config/plan', { documents: all, connect: true }, { 'x-reader': 'yes' })
    assert.equal(reader.status, 403)
  })
})
