import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { changeResources } from '../../state/resources.ts'
import { endRun } from '../../state/run-row.ts'
import { promoteNext } from '../../state/run-requests.ts'
import { insertBatch, insertRun, insertSync, startApi, type ApiFixture } from './api-fixture.ts'

describe('starting runs', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  const start = (sync: string, payload?: object, headers: Record<string, string> = {}) =>
    api.call('POST', `/v1/syncs/${sync}/runs`, payload === undefined ? { headers } : { payload, headers })
  const end = (run: unknown, sync: string) =>
    endRun(api.db, { run: String(run), sync, outcome: 'done', error: null, waiting: null, mappingId: null })

  test('is accepted with 202, Location and the run, and its workflow is started', async () => {
    await insertSync(api, 'plain')
    const answer = await start('plain')
    assert.equal(answer.status, 202)
    assert.equal(answer.headers['location'], `/v1/runs/${String(answer.body['id'])}`)
    assert.deepEqual(
      [answer.body['sync'], answer.body['state'], answer.body['trigger'], answer.body['full'], answer.body['dryRun'], answer.body['error']],
      ['plain', 'queued', 'api', false, false, null],
    )
    assert.deepEqual(answer.body['temporal'], { workflowId: 'sync/plain', runId: null, url: null })
    assert.ok(api.asked.includes(`start ${String(answer.body['id'])}`))
  })

  test('while one is active: reject names it, join gives it, queue gives the one that follows', async () => {
    await insertSync(api, 'busy')
    const first = (await start('busy', { full: true })).body['id']
    const refused = await start('busy')
    assert.equal(refused.status, 409)
    assert.equal(refused.headers['content-type'], 'application/problem+json')
    assert.deepEqual([refused.body['code'], refused.body['run']], ['run_active', first])
    const joined = await start('busy', { onConflict: 'join' })
    assert.deepEqual([joined.status, joined.body['id']], [200, first])
    const queued = await start('busy', { onConflict: 'queue' })
    assert.equal(queued.status, 202)
    assert.notEqual(queued.body['id'], first)
    const again = await start('busy', { onConflict: 'queue', full: true })
    assert.deepEqual([again.status, again.body['id'], again.body['full']], [202, queued.body['id'], true])
    assert.equal((await start('busy', { onConflict: 'queue', dryRun: true })).status, 409, 'a dry run cannot stand for a run')

    await end(first, 'busy')
    const overtaking = await start('busy')
    assert.deepEqual([overtaking.status, overtaking.body['run']], [409, queued.body['id']], 'the queued one is next')
    await promoteNext(api.db, 'busy')
    await end(queued.body['id'], 'busy')
    assert.equal((await start('busy')).status, 202)
  })

  test('any number of concurrent requests make one active and one next run', async () => {
    await insertSync(api, 'crowd')
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => start('crowd', { onConflict: i % 2 === 0 ? 'queue' : 'reject' })),
    )
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202, 409]))
    const { rows } = await api.db.query<{ slot: string }>(`select slot from run where sync = 'crowd' order by slot`)
    assert.deepEqual(
      rows.map(({ slot }) => slot),
      ['active', 'next'],
    )
  })

  test('the same Idempotency-Key gives the same run, also at once; another body is 422; a refusal leaves the key free', async () => {
    await insertSync(api, 'twice')
    const key = { 'idempotency-key': 'k1' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => start('twice', { full: true }, key)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]))
    assert.equal(new Set(answers.map(({ body }) => body['id'])).size, 1)
    const id = answers[0]?.body['id']
    const other = await start('twice', { full: false }, key)
    assert.deepEqual([other.status, other.body['code']], [422, 'idempotency_key'])

    const later = { 'idempotency-key': 'k2' }
    assert.equal((await start('twice', {}, later)).status, 409)
    await end(id, 'twice')
    assert.equal((await start('twice', {}, later)).status, 202)
    assert.equal((await start('twice', { full: true }, key)).body['id'], id, 'ended or not, it is the same run')
    await api.db.query(`update idempotency_key set created_at = now() - interval '25 hours' where key = 'k1'`)
    assert.equal((await start('twice', { full: true, onConflict: 'queue' }, key)).status, 202, 'a day later the key is new')
  })

  test('a run that was terminated in Temporal is closed and does not block', async () => {
    await insertSync(api, 'killed')
    const { id } = await insertRun(api, { sync: 'killed', state: 'delivering', slot: 'active', temporalRunId: 't1' })
    api.control.endTerminated = async (run) => {
      assert.deepEqual([run.id, run.temporalRunId], [id, 't1'])
      await endRun(api.db, {
        run: id,
        sync: 'killed',
        outcome: 'failed',
        error: { code: 'terminated', message: '' },
        waiting: null,
        mappingId: null,
      })
      return true
    }
    assert.equal((await start('killed')).status, 202)
    api.control.endTerminated = () => Promise.reject(new Error('Temporal is away'))
    await api.db.query(`update run set temporal_run_id = 't2' where sync = 'killed' and slot = 'active'`)
    assert.equal((await start('killed')).status, 409)
    api.control.endTerminated = async () => false
  })

  test('with Temporal away the run is accepted all the same', async () => {
    await insertSync(api, 'later')
    api.control.start = () => Promise.reject(new Error('Temporal is away'))
    assert.equal((await start('later')).status, 202)
  })

  test('what makes no sense is refused by name', async () => {
    await insertSync(api, 'strict')
    const unknown = await start('strict', { ful: true })
    assert.equal(unknown.status, 400)
    assert.deepEqual(unknown.body['errors'], [{ pointer: '/ful', message: 'is not a key that is known here' }])
    const wrong = await start('strict', { full: 'true', onConflict: 'wait' })
    assert.deepEqual(wrong.body['errors'], [
      { pointer: '/full', message: 'must be boolean' },
      { pointer: '/onConflict', message: 'must be one of reject, join, queue' },
    ])
    const both = await start('strict', { adopt: true, verify: true })
    assert.deepEqual([both.status, both.body['code']], [422, 'options'])
    assert.equal((await start('nowhere')).status, 404)
    assert.equal((await api.db.query(`select from run where sync in ('strict', 'nowhere')`)).rowCount, 0)
  })

  test('a sync cannot be deleted and started at the same time', async () => {
    await insertSync(api, 'gone')
    let begun = (): void => {}
    const deciding = new Promise<void>((resolve) => (begun = resolve))
    const deletion = changeResources(api.db, ({ busySyncs }) => {
      assert.ok(!busySyncs.has('gone'))
      begun()
      return { changes: [{ op: 'delete', kind: 'Sync', name: 'gone' }] }
    })
    await deciding
    const answer = await start('gone')
    await deletion
    assert.equal(answer.status, 404)
  })
})

describe('looking at runs and steering them', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi()
    await insertSync(api, 's', ['text'])
  })
  after(() => api.stop())

  test('counts are sums over the plan’s batches', async () => {
    const planned = { read: 20, unchanged: 9, added: 7, changed: 1, removed: 1, retried: 1, invalid: 2 }
    const run = await insertRun(api, { sync: 's', state: 'partial', planned, owed: 3, temporalRunId: 'abc' })
    const records = (...keys: string[]) => keys.map((key) => ({ key: [key], op: 'a' as const }))
    const add = (seed: Parameters<typeof insertBatch>[3]) => insertBatch(api, run, ['text'], seed)
    await add({ counts: { delivered: 2, rejected: 1 }, records: records('a', 'b', 'c') })
    const parent = await add({ seq: 1, state: 'split', records: records('d', 'e') })
    await add({ seq: 1, parent, counts: { skipped: 1 }, records: records('d') })
    await add({ seq: 1, parent, state: 'planned', attempt: 0, doubtful: true, records: records('e') })
    await add({
      seq: 2,
      state: 'sending',
      phase: 'remove',
      records: [
        { key: ['f'], op: 'r' },
        { key: ['g'], op: 'x' },
      ],
    })
    await add({ seq: 3, state: 'planned', attempt: 0, doubtful: true, records: records('h') })
    await add({ seq: 0, phase: 'invalid', state: 'planned', records: [{ key: ['i'], op: 'i', error: { code: 'x', message: 'y' } }] })
    await insertBatch(api, { ...run, plan: crypto.randomUUID() }, ['text'], { counts: { delivered: 99 }, records: records('z') })
    const { body } = await api.call('GET', `/v1/runs/${run.id}`)
    assert.deepEqual(body['counts'], { ...planned, owed: 3, delivered: 2, skipped: 1, rejected: 1, inDoubt: 2 })
    assert.deepEqual(body['temporal'], {
      workflowId: 'sync/s',
      runId: 'abc',
      url: 'http://ui.test/namespaces/ns/workflows/sync%2Fs/abc/history',
    })

    const dry = await insertRun(api, { sync: 's', dryRun: true, planned })
    await insertBatch(api, dry, ['text'], { state: 'sending', records: records('a') })
    const counts = (await api.call('GET', `/v1/runs/${dry.id}`)).body['counts'] as Record<string, number>
    assert.deepEqual([counts['added'], counts['delivered'], counts['inDoubt']], [7, 0, 0])
  })

  test('pages newest first, by sync and by state', async () => {
    await insertSync(api, 'many')
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.unshift((await insertRun(api, { sync: 'many', state: i === 2 ? 'failed' : 'succeeded' })).id)
    const seen: unknown[] = []
    for (let cursor = ''; ;) {
      const { body } = await api.call('GET', `/v1/runs?sync=many&limit=2${cursor}`)
      seen.push(...(body['data'] as { id: string }[]).map(({ id }) => id))
      if (body['next'] === null) break
      cursor = `&cursor=${body['next'] as string}`
    }
    assert.deepEqual(seen, ids)
    const failed = (await api.call('GET', '/v1/runs?sync=many&state=failed')).body['data'] as { id: string }[]
    assert.deepEqual(
      failed.map(({ id }) => id),
      [ids[2]],
    )
    assert.equal((await api.call('GET', '/v1/runs?cursor=nonsense')).status, 400)
    assert.equal((await api.call('GET', '/v1/runs?sate=failed')).status, 400)
    assert.equal((await api.call('GET', '/v1/runs/not-a-run')).status, 404)
  })

  test('wait answers when the run ends, and with the run as it is when the time is up', async () => {
    const { id } = await insertRun(api, { sync: 's', state: 'delivering', slot: 'active' })
    assert.equal((await api.call('GET', `/v1/runs/${id}?wait=0.05`)).body['state'], 'delivering')
    const waiting = api.call('GET', `/v1/runs/${id}?wait=60`)
    await endRun(api.db, { run: id, sync: 's', outcome: 'cancelled', error: null, waiting: null, mappingId: null })
    assert.equal((await waiting).body['state'], 'cancelled')
    assert.equal((await api.call('GET', `/v1/runs/${id}?wait=61`)).status, 400)
  })

  test('each verb needs its state and goes to Temporal', async () => {
    await insertSync(api, 'steered')
    const verbs = {
      cancel: ['delivering', 'paused', 'planning', 'awaiting_approval'],
      pause: ['delivering'],
      resume: ['paused'],
      approve: ['awaiting_approval'],
      reject: ['awaiting_approval'],
    }
    const { id } = await insertRun(api, { sync: 'steered', state: 'planning', slot: 'active', temporalRunId: 't' })
    for (const state of ['planning', 'awaiting_approval', 'delivering', 'paused', 'succeeded', 'cancelled']) {
      await api.db.query('update run set state = $2 where id = $1', [id, state])
      for (const [verb, states] of Object.entries(verbs)) {
        const answer = await api.call('POST', `/v1/runs/${id}/${verb}`)
        assert.equal(answer.status, states.includes(state) ? 202 : 409, `${verb} of a run that is ${state}`)
        if (answer.status === 409) assert.deepEqual([answer.body['code'], answer.body['run']], ['state', id])
      }
    }
    for (const verb of Object.keys(verbs)) assert.ok(api.asked.includes(`${verb} ${id}`))
    api.control.answer = async () => false
    await api.db.query(`update run set state = 'awaiting_approval' where id = $1`, [id])
    assert.equal((await api.call('POST', `/v1/runs/${id}/approve`)).status, 409, 'the workflow has the last word')
  })

  test('a run that has not begun is cancelled without Temporal', async () => {
    await insertSync(api, 'queue')
    const active = await insertRun(api, { sync: 'queue', state: 'queued', slot: 'active' })
    const next = await insertRun(api, { sync: 'queue', state: 'queued', slot: 'next' })
    for (const { id } of [next, active]) {
      const answer = await api.call('POST', `/v1/runs/${id}/cancel`)
      assert.deepEqual([answer.status, answer.body['state']], [202, 'cancelled'])
      assert.ok(!api.asked.includes(`cancel ${id}`))
    }
    assert.equal((await api.call('POST', '/v1/syncs/queue/runs')).status, 202)
  })
})
