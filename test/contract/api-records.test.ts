import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KeyCodec } from '../../connectors/keys.ts'
import { SegmentWriter, REMOVED } from '../../state/segment.ts'
import { insertBatch, insertRun, insertSync, startApi, type ApiFixture } from './api-fixture.ts'

interface Listed {
  readonly key: unknown
  readonly op: string
  readonly outcome: string
  readonly error: { readonly code: string } | null
}

const data = (answer: { body: Record<string, unknown> }): Listed[] => answer.body['data'] as Listed[]

describe('what became of single records', () => {
  let api: ApiFixture
  let run: { id: string; plan: string }
  before(async () => {
    api = await startApi()
    await insertSync(api, 's', ['int64'])
    run = await insertRun(api, { sync: 's' })
    const [a, c] = ['a', 'c'] as const
    await insertBatch(api, run, ['int64'], {
      outcomes: {
        1: { outcome: 'rejected', code: 'INVALID_EMAIL', message: 'not an email' },
        2: { outcome: 'skipped' },
        3: { outcome: 'child' },
        4: { outcome: 'dropped' },
      },
      records: [
        { key: ['1'], op: a, fields: '{"amount":12345678901234567890.123456789012345678,"name":"Ada"}' },
        { key: ['2'], op: c },
        { key: ['3'], op: a },
        { key: ['4'], op: a },
        { key: ['5'], op: a },
      ],
    })
    const parent = await insertBatch(api, run, ['int64'], {
      seq: 1,
      state: 'split',
      records: [
        { key: ['10'], op: a },
        { key: ['11'], op: a },
      ],
    })
    await insertBatch(api, run, ['int64'], { seq: 1, parent, state: 'sending', records: [{ key: ['10'], op: a }] })
    await insertBatch(api, run, ['int64'], { seq: 1, parent, state: 'planned', attempt: 0, records: [{ key: ['11'], op: a }] })
    await insertBatch(api, run, ['int64'], {
      seq: 0,
      phase: 'remove',
      records: [
        { key: ['20'], op: 'r' },
        { key: ['21'], op: 'x' },
      ],
    })
    await insertBatch(api, run, ['int64'], {
      seq: 0,
      phase: 'invalid',
      state: 'planned',
      attempt: 0,
      records: [{ key: ['30'], op: 'i', change: 'changed', error: { code: 'bad_date', field: 'born', message: 'no date' } }],
    })
    await insertBatch(api, { ...run, plan: crypto.randomUUID() }, ['int64'], { records: [{ key: ['99'], op: a }] })
  })
  after(() => api.stop())

  const changes = (query = '') => api.call('GET', `/v1/runs/${run.id}/changes${query}`)

  test('a run’s changes: every planned record once, with its outcome', async () => {
    const listed = data(await changes()).map(({ key, op, outcome }) => [key, op, outcome].join(' '))
    assert.deepEqual(listed.sort(), [
      '1 added delivered',
      '10 added in_doubt',
      '11 added planned',
      '2 changed rejected',
      '20 removed delivered',
      '21 removed delivered',
      '3 added skipped',
      '30 changed invalid',
    ])
  })

  test('numbers keep every digit', async () => {
    const { text } = await changes('?key=1')
    assert.match(text, /"fields":\{"amount":12345678901234567890\.123456789012345678,"name":"Ada"\}/)
  })

  test('filters by op, outcome and key, and pages', async () => {
    const keys = async (query: string) => data(await changes(query)).map(({ key }) => key)
    assert.deepEqual(await keys('?op=removed'), ['20', '21'])
    assert.deepEqual(await keys('?outcome=rejected'), ['2'])
    assert.deepEqual(await keys('?outcome=in_doubt'), ['10'])
    assert.deepEqual(await keys('?outcome=invalid'), ['30'])
    assert.deepEqual(await keys('?op=changed'), ['2', '30'])
    assert.deepEqual(await keys('?key=11'), ['11'])
    assert.deepEqual(await keys('?key=011'), ['11'], 'as the warehouse writes the number')
    assert.deepEqual(await keys('?key=4'), [])
    assert.equal((await changes('?key=abc')).status, 400)
    assert.equal((await changes('?op=deleted')).status, 400)
    const paged: unknown[] = []
    for (let cursor = ''; ;) {
      const page = await changes(`?limit=3${cursor}`)
      assert.ok(data(page).length <= 3)
      paged.push(...data(page).map(({ key }) => key))
      if (page.body['next'] === null) break
      cursor = `&cursor=${page.body['next'] as string}`
    }
    assert.deepEqual(paged, await keys(''))
    assert.equal(new Set(paged).size, 8)
    const [rejected] = data(await changes('?outcome=rejected'))
    assert.deepEqual(rejected?.error, { code: 'INVALID_EMAIL', message: 'not an email' })
    const [invalid] = data(await changes('?outcome=invalid'))
    assert.deepEqual(invalid?.error, { code: 'bad_date', message: 'no date', field: 'born' })
  })

  test('composite keys are arrays, in queries their JSON', async () => {
    await insertSync(api, 'pairs', ['text', 'int64'])
    const pairs = await insertRun(api, { sync: 'pairs' })
    await insertBatch(api, pairs, ['text', 'int64'], {
      records: [
        { key: ['a/b', '1'], op: 'a' },
        { key: ['a/b', '2'], op: 'a' },
      ],
    })
    const key = encodeURIComponent('["a/b","2"]')
    assert.deepEqual(
      data(await api.call('GET', `/v1/runs/${pairs.id}/changes?key=${key}`)).map((change) => change.key),
      [['a/b', '2']],
    )
    assert.deepEqual((await api.call('GET', `/v1/syncs/pairs/records/${key}`)).body['key'], ['a/b', '2'])
    for (const wrong of ['a', '["a"]', '["a",2]', '["a","b"]']) {
      const answer = await api.call('GET', `/v1/syncs/pairs/records/${encodeURIComponent(wrong)}`)
      assert.equal(answer.status, 400, wrong)
      assert.equal(answer.body['code'], 'validation')
    }
  })

  // The sync knows its keys from its first delivery on: until then `?key=` found nothing, after a change of the key it was refused.
  test('a run’s changes are found by its own kind of keys, delivered or not', async () => {
    await insertSync(api, 'rekeyed', ['int64'])
    await insertSync(api, 'first')
    for (const sync of ['rekeyed', 'first']) {
      const dry = await insertRun(api, { sync, dryRun: true, keyParts: ['text'] })
      for (const [seq, keys] of [
        ['a', 'b'],
        ['c', 'd'],
      ].entries())
        await insertBatch(api, dry, ['text'], { seq, state: 'planned', attempt: 0, records: keys.map((key) => ({ key: [key], op: 'a' })) })
      const found = data(await api.call('GET', `/v1/runs/${dry.id}/changes?key=c`))
      assert.deepEqual(
        found.map(({ key, outcome }) => [key, outcome]),
        [['c', 'planned']],
        sync,
      )
    }
    assert.equal((await api.call('GET', '/v1/syncs/first/records/c')).status, 200)
  })

  test('a key that PostgreSQL cannot hold is a mistake of the caller', async () => {
    await insertSync(api, 'nul', ['text'])
    const asked = await api.call('GET', '/v1/syncs/nul/records/%00')
    const due = await api.call('POST', '/v1/syncs/nul/rejections/retry', { payload: { key: '\u0000' } })
    for (const { status, body } of [asked, due]) assert.deepEqual([status, body['code']], [400, 'validation'])
  })

  test('a record’s history: the acknowledged version and every run that touched it', async () => {
    await insertSync(api, 'history', ['text'])
    const older = await insertRun(api, { sync: 'history' })
    await insertBatch(api, older, ['text'], { records: [{ key: ['k/1'], op: 'a', fields: '{"n":1.50}' }] })
    const newer = await insertRun(api, { sync: 'history' })
    await insertBatch(api, newer, ['text'], {
      outcomes: { 0: { outcome: 'rejected', code: 'X', message: 'no' } },
      records: [{ key: ['k/1'], op: 'c', fields: '{"n":2}' }],
    })
    const codec = new KeyCodec(['text'])
    const segment = async (seq: number, fingerprint: Uint8Array) => {
      const writer = new SegmentWriter(false)
      for (const key of ['k/0', 'k/1']) writer.add(codec.encode([key]), fingerprint, null)
      const packed = writer.take()
      assert.ok(packed)
      await api.db.query('insert into baseline_segment values ($1, 1, $2, $3, $4, $5, $6)', [
        'history',
        packed.firstKey,
        seq,
        packed.lastKey,
        packed.size,
        packed.entries,
      ])
    }
    await segment(1, Buffer.alloc(16, 1))
    await segment(2, Buffer.alloc(16, 2))
    const path = `/v1/syncs/history/records/${encodeURIComponent('k/1')}`
    const { text, body } = await api.call('GET', path)
    assert.match(text, /"acknowledged":\{"fingerprint":"(02){16}","run":"[^"]+","at":"[^"]+","fields":\{"n":1\.50\}\}/)
    assert.deepEqual(
      (body['runs'] as { run: string; outcome: string }[]).map(({ run, outcome }) => [run, outcome]),
      [
        [newer.id, 'rejected'],
        [older.id, 'delivered'],
      ],
    )
    await segment(3, REMOVED)
    assert.equal((await api.call('GET', path)).body['acknowledged'], null)
    assert.equal((await api.call('GET', '/v1/syncs/history/records/never')).status, 404)
  })

  test('rejections page in key order, can be made due, and leave the list when fixed', async () => {
    await insertSync(api, 'refused', ['text'])
    const { id } = await insertRun(api, { sync: 'refused' })
    for (const key of ['a', 'b', 'c']) {
      await api.db.query(
        `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ('refused', $1, $2, 'upsert', $3, 'data', 'X', 'no', $4)`,
        [Buffer.from(key), JSON.stringify(key), Buffer.alloc(16), id],
      )
    }
    const page = await api.call('GET', '/v1/syncs/refused/rejections?limit=2')
    assert.deepEqual(
      data(page).map(({ key }) => key),
      ['a', 'b'],
    )
    assert.deepEqual(Object.keys(data(page)[0] ?? {}), [
      'key',
      'op',
      'field',
      'class',
      'code',
      'message',
      'attempts',
      'run',
      'firstAt',
      'lastAt',
      'nextAttempt',
    ])
    const rest = await api.call('GET', `/v1/syncs/refused/rejections?limit=2&cursor=${page.body['next'] as string}`)
    assert.deepEqual([data(rest).map(({ key }) => key), rest.body['next']], [['c'], null])

    const due = async () => (await api.db.query(`select key from rejection where sync = 'refused' and next_attempt <= now()`)).rowCount
    const retry = (payload?: object) => api.call('POST', '/v1/syncs/refused/rejections/retry', payload === undefined ? {} : { payload })
    assert.deepEqual([(await retry({ key: 'b' })).body, await due()], [{ due: 1 }, 1])
    assert.equal((await retry({ key: 'z' })).status, 404)
    assert.deepEqual([(await retry()).body, await due()], [{ due: 3 }, 3])
    assert.equal((await api.call('GET', '/v1/syncs/nowhere/rejections')).status, 404)
  })

  test('preview shows what a worker found, all digits kept', async () => {
    api.worker.answer = async (request) => {
      assert.deepEqual(request, { kind: 'preview', sync: 's', limit: 2 })
      return { changes: [{ op: 'added', outcome: 'planned', key: '1', fields: '{"n":12345678901234567890.10}', error: null }] }
    }
    const { status, text } = await api.call('POST', '/v1/syncs/s/preview', { payload: { limit: 2 } })
    assert.deepEqual(
      [status, text],
      [200, '{"data":[{"key":"1","op":"added","fields":{"n":12345678901234567890.10},"outcome":"planned","error":null}],"next":null}'],
    )
    api.worker.answer = async () => ({ problem: 'column x is missing' })
    const refused = await api.call('POST', '/v1/syncs/s/preview')
    assert.deepEqual([refused.status, refused.body['detail']], [422, 'column x is missing'])
  })
})
