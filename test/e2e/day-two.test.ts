import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Client, Connection, ScheduleOverlapPolicy, type ScheduleDescription } from '@temporalio/client'
import { createContacts, documents, fault, some } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/** Schedules stay what the configuration says, and what is past its retention goes. */
let stack: Stack
let worker: Role
let connection: Connection
let client: Client

before(async () => {
  stack = await startStack({ TAILRACE_RETENTION_DAYS: '7' })
  await stack.start('api')
  worker = await stack.start('worker')
  connection = await Connection.connect({ address: stack.temporal })
  client = new Client({ connection, namespace: stack.namespace })
})
after(async () => {
  await connection.close()
  await stack.stop()
})
beforeEach(async () => {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  await stack.call('DELETE', '/v1/syncs/contacts')
  // The last test's schedule looks like this one's, and its end would take along what is noted of the new one.
  await until((now) => now === null, 'the end of the last schedule')
  await createContacts(stack, some(5))
})

const scheduled = (schedule: object): Promise<void> => stack.apply(documents(stack, 'webhook', { schedule }))

/** Looks at the schedule until it is as wanted; the reconcile loop passes every 15 s. */
async function until(wanted: (schedule: ScheduleDescription | null) => boolean, what: string): Promise<ScheduleDescription | null> {
  const { schedule } = await eventually(what, async () => {
    const found = await client.schedule
      .getHandle('schedule/contacts')
      .describe()
      .catch(() => null)
    return wanted(found) ? { schedule: found } : null
  })
  return schedule
}

const everyMs = (schedule: ScheduleDescription | null): number | undefined => schedule?.spec.intervals?.[0]?.every

test('changes by apply take effect: interval, cron with time zone, paused, none', async () => {
  await scheduled({ every: '1h' })
  const hourly = await until((now) => everyMs(now) === 3_600_000, 'the hourly schedule')
  assert.deepEqual(
    [hourly?.policies.overlap, hourly?.policies.catchupWindow, hourly?.state.paused],
    [ScheduleOverlapPolicy.SKIP, 600_000, false],
  )
  await scheduled({ cron: '30 6 * * 1', timezone: 'Europe/Berlin' })
  const weekly = await until((now) => now !== null && everyMs(now) === undefined, 'the weekly schedule')
  assert.equal(weekly?.spec.timezone, 'Europe/Berlin')
  const next = weekly.info.nextActionTimes[0]
  const inBerlin = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', weekday: 'short', hour: '2-digit', minute: '2-digit' })
  assert.equal(inBerlin.format(next), 'Mon 06:30')
  await scheduled({ cron: '30 6 * * 1', timezone: 'Europe/Berlin', paused: true })
  await until((now) => now?.state.paused === true, 'the pause')
  await stack.apply(documents(stack, 'webhook'))
  await until((now) => now === null, 'its end')
})

// A zone in other letters, or one that the server does not know, is refused by Temporal; nobody's schedule was made from then on.
test('a schedule that Temporal refuses holds up no other, and a zone may be written in small letters', async () => {
  const cron = '30 6 * * 1'
  const broken = { model: 'm', destination: 'd', mode: 'upsert', fields: { a: 'a' }, schedule: { cron, timezone: 'SystemV/AST4' } }
  await stack.state.query(`insert into resource (kind, name, spec) values ('Sync', 'broken', $1)`, [JSON.stringify(broken)])
  await scheduled({ cron, timezone: 'europe/berlin' })
  const made = await until((now) => now !== null, 'the schedule')
  assert.equal(made?.spec.timezone, 'Europe/Berlin')
  await eventually('the word about the other', async () => (/"sync":"broken".*Temporal refuses/.test(worker.output()) ? true : null))
  await stack.state.query(`delete from resource where name = 'broken'`)
})

test('what somebody changes or deletes by hand is put back', async () => {
  await scheduled({ every: '1h' })
  await until((now) => everyMs(now) === 3_600_000, 'the schedule')
  const handle = client.schedule.getHandle('schedule/contacts')
  await handle.update((before) => ({ ...before, spec: { intervals: [{ every: '1d' }] } }))
  await until((now) => everyMs(now) === 3_600_000, 'the interval')
  await handle.update((before) => ({ ...before, policies: { ...before.policies, overlap: ScheduleOverlapPolicy.ALLOW_ALL } }))
  await until((now) => now?.policies.overlap === ScheduleOverlapPolicy.SKIP, 'the overlap policy')
  await handle.pause('by hand')
  await until((now) => now?.state.paused === false, 'unpaused')
  await handle.delete()
  await until((now) => everyMs(now) === 3_600_000, 'created again')
  await client.schedule.create({
    scheduleId: 'schedule/nobody',
    spec: { intervals: [{ every: '1d' }] },
    action: { type: 'startWorkflow', workflowType: 'launch', taskQueue: 'tailrace', args: ['nobody'] },
  })
  const nobody = client.schedule.getHandle('schedule/nobody')
  const isGone = (): Promise<boolean> =>
    nobody.describe().then(
      () => false,
      () => true,
    )
  await eventually('the end of a schedule that no sync has', isGone)
})

test('a receiver that is gone for good pauses the schedule until a run gets through', async () => {
  await scheduled({ every: '1h' })
  await until((now) => now?.state.paused === false, 'the schedule')
  await fault(stack, { on: 'webhook', do: 'status', status: 410 })
  assert.equal((await stack.run('contacts')).error?.code, 'gone')
  await until((now) => now?.state.paused === true, 'the pause')
  await client.schedule.getHandle('schedule/contacts').unpause('by hand')
  await until((now) => now?.state.paused === true, 'paused again')
  assert.equal((await stack.run('contacts')).state, 'succeeded')
  await until((now) => now?.state.paused === false, 'it goes on')
})

/** Pruning began after an hour only: a worker that was restarted more often never pruned. */
test('a worker that starts drops what is past its retention, and only that', async () => {
  await stack.apply(documents(stack, 'webhook'))
  const [old, young] = [await stack.run('contacts'), await stack.run('contacts', { dryRun: true })]
  await stack.state.query(`update run set finished_at = finished_at - interval '8 days' where id = $1`, [old.id])
  await worker.stop()
  worker = await stack.start('worker')
  await eventually('the end of the old run', async () => (await stack.call('GET', `/v1/runs/${old.id}`)).status === 404)
  assert.equal((await stack.call('GET', `/v1/runs/${young.id}`)).status, 200)
  const { rows } = await stack.state.query('select 1 from batch where run = $1', [old.id])
  assert.equal(rows.length, 0)
  const again = await stack.run('contacts')
  assert.deepEqual([again.state, again.counts['unchanged']], ['succeeded', 5], 'the baseline outlives the runs')
})
