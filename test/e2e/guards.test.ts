import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { accept, createContacts, documents, fault, held, holding, release, report, some, wanted } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'
import { cancelHeard, signal } from '../harness/workflows.ts'

/** What people do with a run: approve, reject, pause, cancel, look first, queue. Counted at the destination. */
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
  await createContacts(stack, some(40))
  await stack.apply(documents(stack, 'hubspot', { guards: {} }))
})

test('half of the records would be removed: the run waits, a person approves, then they go', async () => {
  await stack.run('contacts')
  await stack.warehouse.query('delete from contacts where id > 20')
  const parked = await stack.run('contacts', {}, ['awaiting_approval'])
  assert.equal(parked.state, 'awaiting_approval', JSON.stringify(parked))
  assert.match(parked.waiting?.reason ?? '', /maxRemoved: 20 of 40/)
  assert.equal((await report(stack, 'hubspot')).totals.records, 40)
  assert.equal((await stack.call('POST', `/v1/runs/${parked.id}/approve`)).status, 202)
  const run = await stack.ended(parked.id)
  assert.deepEqual([run.state, run.counts['removed'], run.counts['delivered']], ['succeeded', 20, 20], JSON.stringify(run))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('an empty model is held; rejecting it leaves no trace', async () => {
  await stack.run('contacts')
  await stack.warehouse.query('delete from contacts')
  const parked = await stack.run('contacts', {}, ['awaiting_approval'])
  assert.match(parked.waiting?.reason ?? '', /emptyModel/)
  assert.equal((await stack.call('POST', `/v1/runs/${parked.id}/reject`)).status, 202)
  const run = await stack.ended(parked.id)
  assert.deepEqual([run.state, run.error?.code], ['cancelled', 'rejected'])
  assert.equal((await report(stack, 'hubspot')).totals.records, 40)
  assert.equal((await stack.call('POST', `/v1/runs/${parked.id}/approve`)).status, 409)
})

test('a dry run plans and sends nothing; what it planned can be read; the next run sends it', async () => {
  const dry = await stack.run('contacts', { dryRun: true })
  assert.deepEqual([dry.state, dry.counts['added'], dry.counts['delivered']], ['succeeded', 40, 0], JSON.stringify(dry))
  const { body } = await stack.call('GET', `/v1/runs/${dry.id}/changes?limit=5`)
  const changes = body['data'] as { key: string; op: string; outcome: string; fields: Record<string, string> }[]
  assert.deepEqual(changes[0] && { ...changes[0], batch: 0 }, {
    key: '1',
    op: 'added',
    fields: { email: 'person1@example.com', firstname: 'one' },
    outcome: 'planned',
    batch: 0,
    error: null,
  })
  assert.equal((await report(stack, 'hubspot')).totals.records, 0)
  assert.equal((await stack.run('contacts')).counts['delivered'], 40)
})

test('paused in mid-delivery: what is under way is settled, the rest goes after resuming', async () => {
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  assert.equal((await stack.call('POST', `/v1/runs/${id}/pause`)).status, 202)
  await release(stack)
  const paused = await stack.ended(id, ['paused', 'succeeded'])
  if (paused.state === 'paused') assert.equal((await stack.call('POST', `/v1/runs/${id}/resume`)).status, 202)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 40], JSON.stringify(run))
  assert.equal((await report(stack, 'hubspot')).totals.repeated, 0)
})

test('paused and resumed while a request is still in flight: the run goes on (it ended cancelled)', async () => {
  await stack.apply(documents(stack, 'hubspot', {}, { timeoutSeconds: 30 }))
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  await signal(stack, 'pause', 'resume')
  await cancelHeard(stack)
  await release(stack)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 40], JSON.stringify(run))
})

test('cancelled in mid-delivery: requests in flight end and are settled; the next run sends the rest', async () => {
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  assert.equal((await stack.call('POST', `/v1/runs/${id}/cancel`)).status, 202)
  await release(stack)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.error?.code], ['cancelled', 'cancelled'], JSON.stringify(run))
  const next = await stack.run('contacts')
  assert.equal(next.state, 'succeeded', JSON.stringify(next))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
  const { totals } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated], [40, 0])
})

test('while a run is active: reject names it, join gives it, queue gives the one that follows', async () => {
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  const refused = await stack.call('POST', '/v1/syncs/contacts/runs', {})
  assert.deepEqual([refused.status, refused.body['run']], [409, id])
  const joined = await stack.call('POST', '/v1/syncs/contacts/runs', { onConflict: 'join' })
  assert.deepEqual([joined.status, joined.body['id']], [200, id])
  const queued = await stack.call('POST', '/v1/syncs/contacts/runs', { onConflict: 'queue' })
  assert.equal(queued.status, 202)
  assert.equal((await stack.call('POST', '/v1/syncs/contacts/runs', { onConflict: 'queue' })).body['id'], queued.body['id'])
  await release(stack)
  assert.equal((await stack.ended(id)).state, 'succeeded')
  const next = await stack.ended(String(queued.body['id']))
  assert.deepEqual([next.state, next.counts['unchanged']], ['succeeded', 40], JSON.stringify(next))
})

test('adopt takes the model as delivered and sends nothing; verify finds what drifted at the destination', async () => {
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set name = 'two' where id <= 3`)
  const adopted = await stack.run('contacts', { adopt: true })
  assert.deepEqual([adopted.state, adopted.counts['delivered']], ['succeeded', 0], JSON.stringify(adopted))
  assert.equal((await stack.run('contacts')).counts['unchanged'], 40)
  const drift = await stack.run('contacts', { verify: true, dryRun: true })
  assert.deepEqual([drift.counts['changed'], drift.counts['unchanged']], [3, 37], JSON.stringify(drift))
  const verified = await stack.run('contacts', { verify: true })
  assert.deepEqual(
    [verified.state, verified.counts['changed'], verified.counts['delivered']],
    ['succeeded', 3, 3],
    JSON.stringify(verified),
  )
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

test('insert leaves an existing record alone and counts it skipped; update refuses what is not there', async () => {
  await stack.run('contacts')
  await stack.warehouse.query(
    `update contacts set name = 'two'; delete from contacts where id > 2; insert into contacts values (50, 'person50@example.com', 'fifty')`,
  )
  await stack.apply(
    documents(stack, 'hubspot', { mode: 'insert', guards: {} }).map((d) => ({
      ...d,
      ...('kind' in d && d.kind === 'Sync' ? { name: 'inserts' } : {}),
    })),
  )
  const inserted = await stack.run('inserts')
  assert.deepEqual(
    [inserted.state, inserted.counts['skipped'], inserted.counts['delivered']],
    ['succeeded', 2, 1],
    JSON.stringify(inserted),
  )
  assert.equal((await held(stack, 'hubspot'))['person1@example.com'], 'one')
  await stack.warehouse.query(`insert into contacts values (60, 'person60@example.com', 'sixty')`)
  await stack.apply(
    documents(stack, 'hubspot', { mode: 'update', guards: {} }).map((d) => ({
      ...d,
      ...('kind' in d && d.kind === 'Sync' ? { name: 'updates' } : {}),
    })),
  )
  const updated = await stack.run('updates')
  assert.deepEqual([updated.state, updated.counts['delivered'], updated.counts['rejected']], ['partial', 3, 1], JSON.stringify(updated))
  assert.equal((await held(stack, 'hubspot'))['person1@example.com'], 'two')
  const { body } = await stack.call('GET', '/v1/syncs/updates/rejections')
  assert.deepEqual(
    (body['data'] as { class: string }[]).map((r) => r.class),
    ['missing'],
  )
})
