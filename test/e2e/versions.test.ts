import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  accept,
  clearFaults,
  documents,
  exactlyOnce,
  fault,
  held,
  holding,
  outcome,
  release,
  report,
  settings,
  some,
  startAnew,
  wanted,
} from '../harness/contacts.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'
import { terminate } from '../harness/workflows.ts'

/** What a version of a record is, through losses, looks and long absences. Counted at the destination. */
let stack: Stack
let worker: Role

before(async () => {
  stack = await startStack()
  await stack.start('api')
  worker = await stack.start('worker')
})
after(() => stack.stop())

const name = (value: string) => stack.warehouse.query(`update contacts set name = $1`, [value])

/** What is remembered of the sync besides runs and their plans. */
async function remembered(): Promise<unknown> {
  const tables = ['sync_state', 'baseline_segment', 'doubt', 'stale_match', 'rejection']
  const rows = await Promise.all(tables.map((table) => stack.state.query(`select * from ${table} order by 1, 2, 3`)))
  return rows.map((result): unknown[] => result.rows)
}

test('A, then B, then A, each acknowledged: a receiver that drops records it knows ends with A', async () => {
  await startAnew(stack, 'webhook', some(25))
  await settings(stack, { webhook: { dropKnownRecords: true } })
  for (const value of ['A', 'B', 'A']) {
    await name(value)
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 25], JSON.stringify(run))
    await exactlyOnce(stack, 'webhook', (await report(stack, 'webhook')).totals.effective)
  }
  assert.equal((await report(stack, 'webhook')).totals.effective, 75)
})

/** A write is lost on its way, its key leaves, another key takes its e-mail: that one is sent once the lost write is over, and is there. */
async function heirWaitsForALostWrite(path: string): Promise<void> {
  await stack.warehouse.query(`update contacts set name = 'lost' where id = 5`)
  await fault(stack, { on: 'hubspot', path, do: 'hold', commit: 'after' })
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await clearFaults(stack)
  await stack.warehouse.query(`delete from contacts where id = 5`)
  await stack.warehouse.query(`insert into contacts values (99, 'person5@example.com', 'heir')`)
  const id = await accept(stack)
  assert.equal((await stack.waiting(id)).state, 'delivering')
  await release(stack)
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 1], JSON.stringify(run))
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
}

test('a key leaves with its write in doubt and another key takes its e-mail at once: the lost write does not win over the heir', async () => {
  await startAnew(stack, 'hubspot', some(10), {}, { lostRequestSeconds: 5 })
  await stack.run('contacts')
  await heirWaitsForALostWrite('batch/upsert')
})

for (const mode of ['upsert', 'update'] as const) {
  test(`${mode}: the same where nothing is removed; what was in doubt of the key that left is closed`, async () => {
    await startAnew(stack, 'hubspot', some(10), {}, { lostRequestSeconds: 5 })
    await stack.run('contacts')
    await stack.apply(documents(stack, 'hubspot', { mode }, { lostRequestSeconds: 5 }))
    await heirWaitsForALostWrite(`batch/${mode}`)
    assert.equal((await stack.run('contacts')).counts['unchanged'], 10)
    assert.equal((await stack.state.query('select 1 from doubt')).rowCount, 0)
  })
}

test('under mirror the doubt of a key that left is closed once another key has its e-mail for good (it was counted for ever)', async () => {
  await startAnew(stack, 'hubspot', some(10))
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set name = 'lost' where id = 5`)
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await release(stack)
  await stack.warehouse.query(`update contacts set id = 99, name = 'heir' where id = 5`)
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 1], JSON.stringify(run))
  const next = await stack.run('contacts')
  assert.deepEqual([next.state, next.counts['unchanged'], next.counts['removed']], ['succeeded', 10, 0], JSON.stringify(next))
  for (const table of ['doubt', 'stale_match']) assert.equal((await stack.state.query(`select 1 from ${table}`)).rowCount, 0, table)
  await stack.warehouse.query(`delete from contacts where id = 99`)
  assert.equal((await stack.run('contacts')).counts['removed'], 1)
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
})

for (const mode of ['mirror', 'upsert'] as const) {
  test(`${mode}: a key leaves, another one has its e-mail for a while, then it comes back as it was: so does its record`, async () => {
    await startAnew(stack, 'hubspot', some(10), { mode })
    await stack.run('contacts')
    await stack.warehouse.query(`update contacts set id = 99, name = 'heir' where id = 5`)
    await stack.run('contacts')
    await stack.warehouse.query(`update contacts set id = 5, name = 'one' where id = 99`)
    const run = await stack.run('contacts')
    assert.deepEqual([run.state, run.counts['added']], ['succeeded', 1], JSON.stringify(run))
    assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
    assert.equal((await stack.run('contacts')).counts['unchanged'], 10)
    if (mode === 'mirror') assert.equal((await stack.state.query('select 1 from stale_match')).rowCount, 0)
  })
}

test('a run that would start a new baseline and is rejected moves nothing: the configuration is put back and nothing is sent again', async () => {
  await startAnew(stack, 'hubspot', some(30), { guards: { maxChanged: '50%' } })
  const first = await stack.run('contacts', {}, ['awaiting_approval'])
  await stack.call('POST', `/v1/runs/${first.id}/approve`)
  await stack.ended(first.id)
  const { totals } = await report(stack, 'hubspot')
  const [source, , ...others] = documents(stack, 'hubspot', { guards: { maxChanged: '50%' } })
  const byEmail = { kind: 'Model', name: 'contacts', source: 'warehouse', sql: 'select * from contacts', primaryKey: 'email' }
  await stack.apply([source ?? {}, byEmail, ...others])
  const parked = await stack.run('contacts', {}, ['awaiting_approval'])
  assert.deepEqual([parked.state, parked.full, parked.counts['added']], ['awaiting_approval', true, 30], JSON.stringify(parked))
  await stack.call('POST', `/v1/runs/${parked.id}/reject`)
  assert.equal((await stack.ended(parked.id)).error?.code, 'rejected')
  await stack.apply(documents(stack, 'hubspot', { guards: { maxChanged: '50%' } }))
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['unchanged'], run.full], ['succeeded', 30, false], JSON.stringify(run))
  assert.deepEqual((await report(stack, 'hubspot')).totals, totals)
})

test('a rename whose worker dies between the upsert of the new e-mail and the removal of the old one: both happen once', async () => {
  await startAnew(stack, 'hubspot', some(30))
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set email = 'new' || id || '@example.com' where id <= 3`)
  await fault(stack, { on: 'hubspot', path: 'batch/archive', do: 'hold' })
  const id = await accept(stack)
  await holding(stack, 1)
  assert.equal((await report(stack, 'hubspot')).totals.records, 33)
  await worker.kill()
  await fetch(`${stack.sandbox.url}/_sandbox/faults`, { method: 'DELETE' })
  worker = await stack.start('worker')
  const run = await stack.ended(id)
  assert.deepEqual([run.state, run.counts['changed'], run.counts['delivered']], ['succeeded', 3, 3], JSON.stringify(run))
  // The dead worker's request comes through after all: its records are gone already.
  await release(stack)
  await exactlyOnce(stack, 'hubspot', 30 + 3 + 3)
})

test('a rename whose run is terminated before the removal of the old e-mail: the next run removes it', async () => {
  await startAnew(stack, 'hubspot', some(30))
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set email = 'new' || id || '@example.com' where id <= 3`)
  await fault(
    stack,
    { on: 'hubspot', path: 'batch/archive', do: 'drop_before', times: 'always' },
    { on: 'hubspot', path: 'batch/read', do: 'hold' },
  )
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await clearFaults(stack)
  await release(stack)
  const run = await stack.run('contacts')
  assert.equal(run.state, 'succeeded', JSON.stringify(run))
  await exactlyOnce(stack, 'hubspot', 30 + 3 + 3)
})

test('two keys swap their e-mails, the answer is lost and the run terminated; they swap back: nothing is removed, nothing is lost', async () => {
  await startAnew(stack, 'hubspot', some(30))
  await stack.run('contacts')
  const swap = `update contacts set email = 'person' || 3 - id || '@example.com', name = $1 where id in (1, 2)`
  await stack.warehouse.query(swap, ['swapped'])
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await release(stack)
  await stack.warehouse.query(`update contacts set email = 'person' || id || '@example.com', name = 'back' || id where id in (1, 2)`)
  const run = await stack.run('contacts')
  assert.equal(run.state, 'succeeded', JSON.stringify(run))
  await exactlyOnce(stack, 'hubspot', 30 + 2 + 2)
})

test('a key leaves, another one arrives with its e-mail, and the answer is lost: the record stays and is written once', async () => {
  await startAnew(stack, 'hubspot', some(30))
  await stack.run('contacts')
  await stack.warehouse.query(`update contacts set id = 99, name = 'heir' where id = 3`)
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'drop_after' })
  const run = await stack.run('contacts')
  assert.deepEqual([run.state, run.counts['added'], run.counts['removed']], ['succeeded', 1, 0], JSON.stringify(run))
  await exactlyOnce(stack, 'hubspot', 31)
})

test('a dry run and a rejected run leave no trace, not even with a request of an older run in doubt', async () => {
  await startAnew(stack, 'hubspot', some(40), { guards: {} })
  await name('A')
  await stack.run('contacts')
  await name('B')
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
  await accept(stack)
  await holding(stack, 1)
  await terminate(stack)
  await release(stack)
  await name('A')
  const asked = await stack.run('contacts', { dryRun: true })
  assert.equal(asked.state, 'succeeded', JSON.stringify(asked))

  const before = await remembered()
  assert.equal((await stack.run('contacts', { dryRun: true })).state, 'succeeded')
  assert.deepEqual(await remembered(), before)

  const { totals } = await report(stack, 'hubspot')
  await stack.warehouse.query('create table kept as select * from contacts; delete from contacts where id > 20')
  const parked = await stack.run('contacts', {}, ['awaiting_approval'])
  assert.equal(parked.state, 'awaiting_approval', JSON.stringify(parked))
  await stack.call('POST', `/v1/runs/${parked.id}/reject`)
  assert.equal((await stack.ended(parked.id)).error?.code, 'rejected')
  assert.deepEqual((await report(stack, 'hubspot')).totals, totals)
  await stack.warehouse.query('insert into contacts select * from kept where id > 20; drop table kept')

  const run = await stack.run('contacts')
  assert.equal(run.state, 'succeeded', JSON.stringify(run))
  await exactlyOnce(stack, 'hubspot', 120)
})

test('a run whose worker is gone for an hour: the next worker reads back what was under way and ends it', async () => {
  for (const destination of ['hubspot', 'webhook'] as const) {
    await startAnew(stack, destination, some(35))
    const write = destination === 'hubspot' ? { on: 'hubspot', path: 'batch/upsert' } : { on: 'webhook' }
    await fault(stack, { ...write, do: 'hold', commit: 'before' })
    const id = await accept(stack)
    await holding(stack, 1)
    await worker.kill()
    await release(stack)
    // The hour: by the clock that the ledger goes by.
    await stack.state.query(`update batch set sent_at = sent_at - interval '1 hour';
      update run set started_at = started_at - interval '1 hour', created_at = created_at - interval '1 hour' where finished_at is null`)
    worker = await stack.start('worker')
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 35, 0], JSON.stringify(run))
    await exactlyOnce(stack, destination, 35)
  }
})

test('the baseline after compaction equals the baseline before: the next run finds everything unchanged', async () => {
  await startAnew(stack, 'webhook', some(200), {}, { batchSize: 5 })
  await stack.run('contacts')
  for (const [step, value] of ['x', 'y', 'z'].entries()) {
    await stack.warehouse.query(`update contacts set name = $1 where id % 3 = $2`, [value, step])
    await stack.warehouse.query(`delete from contacts where id = $1`, [step + 1])
    assert.equal((await stack.run('contacts')).state, 'succeeded')
  }
  const segments = async () => (await stack.state.query('select from baseline_segment')).rowCount ?? 0
  const before = await segments()
  const { totals } = await report(stack, 'webhook')
  const run = await stack.run('contacts')
  assert.deepEqual(outcome(run), { ...outcome(run), state: 'succeeded', read: 197, unchanged: 197, added: 0, changed: 0, removed: 0 })
  assert.ok((await segments()) < before, 'it was compacted')
  assert.deepEqual((await report(stack, 'webhook')).totals, totals)
  await stack.warehouse.query(`update contacts set name = 'last' where id = 100; delete from contacts where id = 101`)
  const after = await stack.run('contacts')
  assert.deepEqual([after.counts['changed'], after.counts['removed']], [1, 1], JSON.stringify(after))
  assert.deepEqual(await held(stack, 'webhook'), await wanted(stack))
})
