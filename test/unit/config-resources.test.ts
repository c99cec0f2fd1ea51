import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import { documentsOf, startConfigApi, type Answer, type ConfigApi, type Json } from './config-api.ts'
import { ALL } from './config-folder.ts'

const all = documentsOf(ALL)

describe('single resources through the API', () => {
  let api: ConfigApi
  before(async () => {
    api = await startConfigApi()
  })
  after(() => api.close())
  beforeEach(() => api.reset())

  test('are created, changed by version, and listed', async () => {
    const config = { accessToken: '${env:T}' }
    const created = await api.call('PUT', '/v1/destinations/crm', { connector: 'hubspot', config })
    assert.equal(created.status, 201)
    assert.equal(created.headers['etag'], '"1"')
    assert.deepEqual(created.body, { kind: 'Destination', name: 'crm', connector: 'hubspot', config, etag: '1' })
    assert.equal((await api.call('PUT', '/v1/destinations/crm', { connector: 'hubspot', config })).headers['etag'], '"1"')
    const body = { connector: 'hubspot', config: { ...config, timeoutSeconds: 5 } }
    assert.equal((await api.call('PUT', '/v1/destinations/crm', body, { 'if-match': '"7"' })).status, 412)
    assert.equal((await api.call('PUT', '/v1/destinations/other', body, { 'if-match': '"1"' })).status, 412)
    const updated = await api.call('PUT', '/v1/destinations/crm', body, { 'if-match': '"1"' })
    assert.deepEqual([updated.status, updated.body['etag']], [200, '2'])
    assert.deepEqual((await api.call('GET', '/v1/destinations/crm')).body, updated.body)

    for (const name of ['a', 'b']) await api.call('PUT', `/v1/destinations/${name}`, { connector: 'hubspot', config })
    const first = await api.call('GET', '/v1/destinations?limit=2')
    assert.deepEqual(
      (first.body['data'] as Json[]).map(({ name }) => name),
      ['a', 'b'],
    )
    const next = await api.call('GET', `/v1/destinations?limit=2&cursor=${String(first.body['next'])}`)
    assert.deepEqual(
      (next.body['data'] as Json[]).map(({ name }) => name),
      ['crm'],
    )
    assert.equal(next.body['next'], null)
    assert.equal((await api.call('GET', '/v1/destinations/nope')).body['detail'], 'there is no Destination "nope"')
  })

  test('get the checks of documents', async () => {
    const refused = async (url: string, body: Json) => (await api.call('PUT', url, body)).body
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

  test('are a document’s content, its version included', async () => {
    const content = { version: 1, connector: 'hubspot', config: { accessToken: '${env:T}' } }
    const { status, body } = await api.call('PUT', '/v1/destinations/crm', content)
    assert.deepEqual([status, body['version'], body['connector']], [201, undefined, 'hubspot'])
    const second = await api.call('PUT', '/v1/destinations/crm', { ...content, version: 2 })
    assert.deepEqual(
      [second.status, second.body['errors']],
      [400, [{ pointer: '/version', message: 'must be 1, the only version there is' }]],
    )
    const nothing = await api.call('PUT', '/v1/destinations/crm')
    assert.deepEqual([nothing.status, nothing.body['detail']], [400, 'must be a mapping, but is empty'])
  })

  test('are not deleted while they are used', async () => {
    await api.post('apply', all)
    const refused = await api.call('DELETE', '/v1/models/customers')
    assert.deepEqual(
      [refused.status, refused.body['code'], refused.body['detail']],
      [409, 'in_use', 'the Model "customers" is used by Sync customers-to-crm: delete or change that first'],
    )
    assert.equal((await api.call('DELETE', '/v1/syncs/customers-to-crm', undefined, { 'if-match': '"2"' })).status, 412)
    assert.equal((await api.call('DELETE', '/v1/syncs/customers-to-crm', undefined, { 'if-match': '"1"' })).status, 204)
    assert.equal((await api.call('DELETE', '/v1/syncs/customers-to-crm')).status, 404)
  })

  /** Holds the resources as another writer in mid-transaction does, until the requests have settled or wait for it. */
  async function meanwhile(change: string, requests: readonly (() => Promise<Answer>)[]): Promise<number[]> {
    const other = await api.database.pool.connect()
    try {
      await other.query('begin; lock table resource in share row exclusive mode')
      await other.query(change)
      let settled = 0
      const answers = requests.map(async (request) => {
        const answer = await request()
        settled++
        return answer.status
      })
      await eventually('an answer or a lock for each request', async () => {
        // Not by `other`: a transaction keeps seeing the activity that it saw first.
        const { rows } = await api.database.pool.query<{ n: number }>(
          `select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return settled + (rows[0]?.n ?? 0) >= requests.length
      })
      await other.query('commit')
      return await Promise.all(answers)
    } finally {
      other.release()
    }
  }

  test('a decision is made on what the change before it left', async () => {
    await api.post('apply', all.slice(0, 3))
    const sync = JSON.stringify({ model: 'customers', destination: 'crm', mode: 'upsert', fields: { a: 'b' } })
    const insert = `insert into resource (kind, name, spec) values ('Sync', 's', '${sync}')`
    assert.deepEqual(await meanwhile(insert, [() => api.call('DELETE', '/v1/models/customers')]), [409])
    const put = (n: number) => () =>
      api.call('PUT', '/v1/models/customers', { source: 'warehouse', sql: `select ${n}`, primaryKey: 'id' }, { 'if-match': '"1"' })
    assert.deepEqual((await meanwhile('select 1', [put(1), put(2), put(3)])).sort(), [200, 412, 412])
  })
})
