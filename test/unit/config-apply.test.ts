import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { parseAllDocuments } from 'yaml'
import type { SyncProblem } from '../../activities/launch/answer.ts'
import { configRoutes } from '../../server/api/config-routes.ts'
import { Problem } from '../../server/api/problem.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import { migrate } from '../../state/migrate.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { ALL, DESTINATION, SYNC } from './config-folder.ts'

type Json = Record<string, unknown>
type Documents = readonly Json[]

const documentsOf = (text: string): Documents => parseAllDocuments(text).map((document) => document.toJS() as Json)
const all = documentsOf(ALL)
const without = (kind: string): Documents => all.filter((document) => document['kind'] !== kind)
const changed = (kind: string, change: Json): Documents =>
  all.map((document) => (document['kind'] === kind ? { ...document, ...change } : document))

describe('configuration through the API', () => {
  let database: TestDatabase
  let app: FastifyInstance
  let sizes: Record<string, number> = {}
  let asked: Record<string, SyncConfiguration>[] = []
  let answers: SyncProblem[] = []
  let applied = 0

  before(async () => {
    database = await freshDatabase()
    await migrate(database.pool)
    app = Fastify({ ajv: { customOptions: { removeAdditional: false } } })
    app.setErrorHandler((error, _request, reply) => {
      if (!(error instanceof Problem)) throw error
      return reply
        .code(error.status)
        .send({ ...error.extra, status: error.status, code: error.code, detail: error.detail, errors: error.errors })
    })
    await app.register(configRoutes, {
      db: database.pool,
      baselineSize: async (sync) => sizes[sync] ?? 0,
      connectCheck: async (syncs) => {
        asked.push({ ...syncs })
        return answers
      },
      onApplied: async () => {
        applied++
      },
      requireScope: (request, scope) => {
        if (request.headers['x-reader'] !== undefined) throw new Problem({ status: 403, code: 'scope', detail: `the token lacks ${scope}` })
      },
    })
  })
  after(async () => {
    await app.close()
    await database.drop()
  })
  beforeEach(async () => {
    await database.pool.query('truncate resource, sync_state, baseline_segment, doubt, stale_match, rejection, run cascade')
    sizes = {}
    asked = []
    answers = []
    applied = 0
  })

  async function call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown, headers: Record<string, string> = {}) {
    const answer = await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body as Json }) })
    return { status: answer.statusCode, headers: answer.headers, body: (answer.body === '' ? null : answer.json()) as Json }
  }
  const post = (verb: string, documents: Documents, options: Json = {}) => call('POST', `/v1/config/${verb}`, { documents, ...options })
  const summary = ({ body }: { body: Json }): string[] =>
    (body['changes'] as Json[]).map(({ op, kind, name }) => `${String(op)} ${String(kind)} ${String(name)}`)
  const stored = async () =>
    (await database.pool.query<{ kind: string; version: string }>('select kind, version from resource order by kind')).rows

  test('plan, apply and prune make the round trip', async () => {
    const order = ['create Source warehouse', 'create Destination crm', 'create Model customers', 'create Sync customers-to-crm']
    assert.deepEqual(summary(await post('plan', all)), order)
    assert.deepEqual(await stored(), [])
    assert.deepEqual(summary(await post('apply', all)), order)
    assert.deepEqual((await post('plan', all)).body, { changes: [], unchanged: 4, effects: [], warnings: [] })
    assert.deepEqual((await post('apply', all)).body['changes'], [])
    assert.equal(applied, 1)

    const other = changed('Model', { sql: 'select 2' })
    const plan = await post('plan', other)
    assert.deepEqual(plan.body['changes'], [
      {
        op: 'update',
        kind: 'Model',
        name: 'customers',
        paths: [{ pointer: '/sql', before: 'select id, email from customers', after: 'select 2' }],
      },
    ])
    await post('apply', other)
    assert.deepEqual(
      (await stored()).map(({ kind, version }) => `${kind} ${version}`),
      ['Destination 1', 'Model 2', 'Source 1', 'Sync 1'],
    )

    const fewer = other.filter((document) => document['kind'] !== 'Sync')
    assert.deepEqual((await post('plan', fewer)).body['changes'], [])
    assert.deepEqual(summary(await post('plan', fewer, { prune: true })), ['delete Sync customers-to-crm'])
    assert.deepEqual(summary(await post('apply', [], { prune: true })), [
      'delete Sync customers-to-crm',
      'delete Model customers',
      'delete Destination crm',
      'delete Source warehouse',
    ])
    assert.deepEqual(await stored(), [])
  })

  test('apply is all or nothing', async () => {
    const broken = [...documentsOf(DESTINATION.replace('name: crm', 'name: other')), ...changed('Sync', { model: 'customer' })]
    const refused = await post('apply', broken)
    assert.equal(refused.status, 422)
    assert.deepEqual(refused.body, {
      status: 422,
      code: 'config',
      detail: '/documents/4/model: there is no Model "customer"; there are customers',
      errors: [{ pointer: '/documents/4/model', message: 'there is no Model "customer"; there are customers' }],
    })
    assert.deepEqual(await stored(), [])
    assert.equal(applied, 0)
  })

  test('documents that are wrong by themselves are refused with every place', async () => {
    const { status, body } = await post('validate', [
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
    assert.deepEqual((await post('validate', all)).body, { valid: true, warnings: [] })
  })

  test('what is stored counts, and must not be broken', async () => {
    await post('apply', all)
    assert.equal((await post('plan', documentsOf(SYNC.replace('customers-to-crm', 'second')))).status, 200)
    const hook = { kind: 'Destination', name: 'crm', connector: 'webhook', config: { url: 'https://x.example', secret: '${env:S}' } }
    assert.equal((await post('apply', [hook])).status, 200)
    const bare = documentsOf(SYNC.replace('object: contacts\n', '').replace('match: email\n', ''))
    assert.equal((await post('apply', bare)).status, 200)
    const back = await post('plan', documentsOf(DESTINATION))
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
    await post('apply', all)
    const { status, body } = await post('apply', without('Model'), { prune: true })
    assert.equal(status, 422)
    assert.equal(
      body['detail'],
      '/documents/2/model: uses the Model "customers", which is stored but not given, so that --prune would delete it',
    )
    assert.equal((await stored()).length, 4)
  })

  test('a sync with a run is not deleted; without one it leaves nothing behind but its runs', async () => {
    await post('apply', all)
    const run = randomUUID()
    await database.pool.query(`insert into run (id, sync, slot, trigger) values ($1, 'customers-to-crm', 'active', 'api')`, [run])
    await database.pool.query(`insert into sync_state (sync, active_run) values ('customers-to-crm', $1)`, [run])
    await database.pool.query(`insert into baseline_segment values ('customers-to-crm', 0, '\\x01', 1, '\\x01', 1, '\\x00')`)
    const refused = await post('apply', [], { prune: true })
    assert.equal(refused.status, 409)
    assert.equal(refused.body['code'], 'run_active')
    assert.equal(
      refused.body['detail'],
      'the sync customers-to-crm cannot be deleted while a run is active or queued: cancel it, or wait for its end',
    )
    assert.equal((await call('DELETE', '/v1/syncs/customers-to-crm')).body['code'], 'run_active')
    assert.equal((await stored()).length, 4)

    await database.pool.query('update run set slot = null')
    assert.equal((await call('DELETE', '/v1/syncs/customers-to-crm')).status, 204)
    const left = await database.pool.query<{ rows: string }>(
      `select (select count(*) from sync_state) || ' ' || (select count(*) from baseline_segment) || ' ' || (select count(*) from run) as rows`,
    )
    assert.equal(left.rows[0]?.rows, '0 0 1')
  })

  test('plan says what is sent again', async () => {
    await post('apply', all)
    const messages = async (documents: Documents) =>
      ((await post('plan', documents)).body['effects'] as Json[]).map(({ message }) => message)
    const fields = { email: 'email', id: 'id' }
    assert.deepEqual(await messages(changed('Sync', { match: 'id', fields })), [])
    sizes = { 'customers-to-crm': 9980 }
    assert.deepEqual(await messages(changed('Sync', { match: 'id', fields })), [
      'sync customers-to-crm: match changed, so it starts a new baseline; 9,980 records will be sent again, nothing is removed for the old one',
    ])
    assert.deepEqual(await messages(changed('Model', { primaryKey: ['id', 'email'] })), [
      'sync customers-to-crm: primaryKey changed, so it starts a new baseline; 9,980 records will be sent again, nothing is removed for the old one',
    ])
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
    await post('apply', [...all, ...documentsOf(SYNC.replace('customers-to-crm', 'second'))])
    answers = [
      { sync: 'customers-to-crm', pointer: '/fields', message: 'the model has no column emial; it has id, email' },
      { sync: 'customers-to-crm', pointer: '/primaryKey', message: 'the model has no column id; it has email' },
    ]
    const { status, body } = await post('validate', all.slice(1), { connect: true })
    assert.equal(status, 422)
    assert.deepEqual(body['errors'], [
      { pointer: '/documents/2/fields', message: 'the model has no column emial; it has id, email' },
      { pointer: '/documents/0/primaryKey', message: 'the model has no column id; it has email' },
    ])
    assert.deepEqual(
      asked.map((syncs) => Object.keys(syncs).sort()),
      [['customers-to-crm', 'second']],
    )
    assert.equal(asked[0]?.['second']?.source.connector, 'postgres')
    const reader = await call('POST', '/v1/config/plan', { documents: all, connect: true }, { 'x-reader': 'yes' })
    assert.equal(reader.status, 403)
  })

  test('single resources are created, changed by version, and listed', async () => {
    const config = { accessToken: '${env:T}' }
    const created = await call('PUT', '/v1/destinations/crm', { connector: 'hubspot', config })
    assert.equal(created.status, 201)
    assert.equal(created.headers['etag'], '"1"')
    assert.deepEqual(created.body, { kind: 'Destination', name: 'crm', connector: 'hubspot', config, etag: '1' })
    assert.equal((await call('PUT', '/v1/destinations/crm', { connector: 'hubspot', config })).headers['etag'], '"1"')
    const body = { connector: 'hubspot', config: { ...config, timeoutSeconds: 5 } }
    assert.equal((await call('PUT', '/v1/destinations/crm', body, { 'if-match': '"7"' })).status, 412)
    assert.equal((await call('PUT', '/v1/destinations/other', body, { 'if-match': '"1"' })).status, 412)
    const updated = await call('PUT', '/v1/destinations/crm', body, { 'if-match': '"1"' })
    assert.deepEqual([updated.status, updated.body['etag']], [200, '2'])
    assert.deepEqual((await call('GET', '/v1/destinations/crm')).body, updated.body)

    for (const name of ['a', 'b']) await call('PUT', `/v1/destinations/${name}`, { connector: 'hubspot', config })
    const first = await call('GET', '/v1/destinations?limit=2')
    assert.deepEqual(
      (first.body['data'] as Json[]).map(({ name }) => name),
      ['a', 'b'],
    )
    const next = await call('GET', `/v1/destinations?limit=2&cursor=${String(first.body['next'])}`)
    assert.deepEqual(
      (next.body['data'] as Json[]).map(({ name }) => name),
      ['crm'],
    )
    assert.equal(next.body['next'], null)
    assert.equal((await call('GET', '/v1/destinations/nope')).body['detail'], 'there is no Destination "nope"')
  })

  test('single resources get the checks of documents', async () => {
    const refused = async (url: string, body: Json) => (await call('PUT', url, body)).body
    assert.deepEqual(
      (await refused('/v1/destinations/crm', { connector: 'hubspot', config: { accessToken: 'pat-1' }, name: 'x' }))['errors'],
      [{ pointer: '/name', message: 'unknown key "name"; known are connector, config' }],
    )
    assert.equal((await refused('/v1/destinations/crm', { connector: 'hubspot', config: { accessToken: 'pat-1' } }))['code'], 'validation')
    assert.deepEqual((await refused('/v1/models/m', { source: 'nope', sql: 'select 1', primaryKey: 'id' }))['errors'], [
      { pointer: '/source', message: 'there is no Source "nope"; there is no Source at all' },
    ])
    assert.equal((await refused('/v1/models/M_1', { source: 'nope', sql: 'select 1', primaryKey: 'id' }))['code'], 'validation')
  })

  test('what is used is not deleted', async () => {
    await post('apply', all)
    const refused = await call('DELETE', '/v1/models/customers')
    assert.deepEqual(
      [refused.status, refused.body['code'], refused.body['detail']],
      [409, 'in_use', 'the Model "customers" is used by Sync customers-to-crm: delete or change that first'],
    )
    assert.equal((await call('DELETE', '/v1/syncs/customers-to-crm', undefined, { 'if-match': '"2"' })).status, 412)
    assert.equal((await call('DELETE', '/v1/syncs/customers-to-crm', undefined, { 'if-match': '"1"' })).status, 204)
    assert.equal((await call('DELETE', '/v1/syncs/customers-to-crm')).status, 404)
  })

  test('changes at the same time are made one after the other', async () => {
    await post('apply', all)
    const deleteModel = call('DELETE', '/v1/models/customers')
    const results = await Promise.all([
      deleteModel,
      ...['a', 'b', 'c'].map((name) => post('apply', documentsOf(SYNC.replace('customers-to-crm', name)))),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      [409, 200, 200, 200],
    )
    const puts = await Promise.all(
      [1, 2, 3].map((n) =>
        call('PUT', '/v1/models/customers', { source: 'warehouse', sql: `select ${n}`, primaryKey: 'id' }, { 'if-match': '"1"' }),
      ),
    )
    assert.deepEqual(puts.map(({ status }) => status).sort(), [200, 412, 412])
  })
})
