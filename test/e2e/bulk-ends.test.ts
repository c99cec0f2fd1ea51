import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  createAccounts,
  documents,
  exactlyOnce,
  held,
  reached,
  SECRETS,
  settings,
  succeeded,
  wanted,
  withWorkflow,
} from '../harness/accounts.ts'
import { accept, elsewhere, report } from '../harness/contacts.ts'
import { startStack, type Role, type Run, type Stack } from '../harness/stack.ts'

/** Bulk jobs whose worker, run or day ends before they do. Counted at the destination. */
const COUNT = 600

describe('bulk, ended early', { timeout: 900_000 }, () => {
  let stack: Stack
  let worker: Role

  before(async () => {
    stack = await startStack(SECRETS)
    await stack.start('api')
    worker = await stack.start('worker')
  })
  after(() => stack.stop())
  beforeEach(async () => {
    await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
    await stack.warehouse.query('drop table if exists accounts')
    await stack.call('DELETE', '/v1/syncs/accounts')
    await createAccounts(stack, COUNT)
    await stack.apply(documents(stack))
  })

  test('a worker is killed after every step, one after the other: the run goes on and each version takes effect once', async () => {
    await worker.kill()
    const deaths = [
      'after-job-open',
      'after-job-claim',
      'before-job-uploaded',
      'after-job-close',
      'before-job-closed',
      'after-job-ended',
      'before-settle@2',
      'before-job-settled',
    ]
    const dead: string[] = []
    const id = await accept(stack, 'accounts')
    for (const death of deaths) {
      const [name = '', pass = '1'] = death.split('@')
      const doomed = await stack.start('worker', { TAILRACE_FAILPOINTS: `${name}=kill@${pass}` })
      const ended = await Promise.race([doomed.ended.then(() => true), stack.ended(id).then(() => false)])
      if (!ended) {
        await doomed.kill()
        break
      }
      dead.push(death)
    }
    worker = await stack.start('worker')
    const run = await stack.ended(id)
    succeeded(run, { delivered: COUNT })
    assert.deepEqual(await held(stack), await wanted(stack))
    const { totals } = await report(stack, 'salesforce')
    assert.deepEqual([totals.effective, totals.repeated], [COUNT, 0])
    assert.ok(dead.length >= 7, `died at ${dead.join(', ')}`)
  })

  test('a run terminated while its job writes: the next one waits for the job’s end, looks, and ends with what is wanted', async () => {
    await settings(stack, { bulkHold: true })
    const id = await accept(stack, 'accounts')
    await reached(stack, { InProgress: 1 })
    await stack.warehouse.query(`update accounts set name = 'B' where id % 2 = 0`)
    await withWorkflow(stack, (workflow) => workflow.terminate('by a test'))
    const run = await stack.run('accounts')
    assert.equal(run.state, 'succeeded', JSON.stringify(run))
    assert.equal((await stack.ended(id)).error?.code, 'terminated')
    assert.deepEqual(await held(stack), await wanted(stack))
    assert.equal((await report(stack, 'salesforce')).totals.repeated, 0)
  })

  test('cancelled while its job writes: the job is stopped, what it wrote is known, the next run sends the rest', async () => {
    await settings(stack, { bulkHold: true })
    const id = await accept(stack, 'accounts')
    await reached(stack, { InProgress: 1 })
    assert.equal((await stack.call('POST', `/v1/runs/${id}/cancel`)).status, 202)
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['cancelled', COUNT / 2, 0], JSON.stringify(run))
    assert.equal((await held(stack)).length, COUNT / 2)
    await settings(stack, { bulkHold: false })
    succeeded(await stack.run('accounts'), { added: COUNT / 2, unchanged: COUNT / 2, delivered: COUNT / 2 })
    await exactlyOnce(stack, COUNT)
  })

  for (const fate of ['aborted', 'aborted and deleted'])
    test(`${fate} by an administrator while it writes: what the job did is known, the rest goes by calls`, async () => {
      await settings(stack, { bulkHold: true })
      const id = await accept(stack, 'accounts')
      await reached(stack, { InProgress: 1 })
      const { records } = (await elsewhere(stack, 'GET', '/jobs/ingest')) as { records: { id: string }[] }
      const job = `/jobs/ingest/${records[0]?.id ?? ''}`
      await elsewhere(stack, 'PATCH', job, { state: 'Aborted' })
      if (fate !== 'aborted') await elsewhere(stack, 'DELETE', job)
      succeeded(await stack.ended(id), { delivered: COUNT })
      await exactlyOnce(stack, COUNT)
    })

  test('a session that is refused for good while its job writes: the run says what to do, the next one looks first', async () => {
    await settings(stack, { bulkHold: true })
    const id = await accept(stack, 'accounts')
    await reached(stack, { InProgress: 1 })
    await settings(stack, { rejectSessions: true })
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.error?.code, run.counts['inDoubt']], ['failed', 'auth', COUNT], JSON.stringify(run))
    assert.match(run.error?.message ?? '', /session policy/)
    await settings(stack, { rejectSessions: false })
    assert.equal((await stack.run('accounts')).state, 'succeeded')
    assert.deepEqual(await held(stack), await wanted(stack))
    const { totals } = await report(stack, 'salesforce')
    assert.deepEqual([totals.effective, totals.repeated], [COUNT, 0])
  })

  test('paused while its job writes: the job ends and is settled, the run waits until it is resumed', async () => {
    await settings(stack, { bulkHold: true })
    await stack.warehouse.query(`insert into accounts values (1001, 'by Collections', chr(13), 1)`)
    const id = await accept(stack, 'accounts')
    await reached(stack, { InProgress: 1 })
    assert.equal((await stack.call('POST', `/v1/runs/${id}/pause`)).status, 202)
    assert.equal((await stack.ended(id, ['paused'])).state, 'paused')
    await settings(stack, { bulkHold: false })
    await reached(stack, {})
    assert.equal((await stack.call('GET', `/v1/runs/${id}`)).body['state'], 'paused')
    assert.equal((await stack.call('POST', `/v1/runs/${id}/resume`)).status, 202)
    succeeded(await stack.ended(id), { delivered: COUNT + 1 })
    assert.equal((await report(stack, 'salesforce')).totals.repeated, 0)
  })

  test('too few of the day’s batches are left: the run waits and says for what, nothing is half sent', async () => {
    await settings(stack, { bulkBatches: 0 })
    const id = await accept(stack, 'accounts')
    let run = await stack.ended(id, ['delivering'])
    while (run.waiting === null) run = (await stack.call('GET', `/v1/runs/${id}?wait=1`)).body as unknown as Run
    assert.match(run.waiting.reason, /daily bulk batches/)
    assert.equal((await stack.call('POST', `/v1/runs/${id}/cancel`)).status, 202)
    const ended = await stack.ended(id)
    assert.deepEqual([ended.state, ended.counts['inDoubt'], await held(stack)], ['cancelled', 0, []])
  })
})
