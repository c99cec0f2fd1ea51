import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { Client, Connection } from '@temporalio/client'
import { Problem } from '../../server/api/problem.ts'
import { connectTemporal, temporalControl } from '../../server/api/temporal-control.ts'
import { registerSearchAttributes } from '../../server/search-attributes.ts'
import { migrate } from '../../state/migrate.ts'
import { getRun } from '../../state/runs.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { insertRun } from './api-fixture.ts'
import { quietJournal } from '../harness/journal.ts'

/** Against a real server and without a worker: what a run's workflow does with it is not the question here. */
describe('steering runs through Temporal', () => {
  let database: TestDatabase
  let connection: Connection
  let client: Client
  before(async () => {
    const address = process.env['TAILRACE_TEST_TEMPORAL']
    if (!address) throw new Error('TAILRACE_TEST_TEMPORAL is not set: run the tests by `npm test` or `npm run test:only -- FILE…`')
    database = await freshDatabase()
    await migrate(database.pool)
    connection = await Connection.connect({ address })
    await registerSearchAttributes(connection, 'default')
    client = new Client({ connection })
  })
  after(async () => {
    await connection.close()
    await database.drop()
  })

  const startedRun = async () => {
    const control = temporalControl({ db: database.pool, client, taskQueue: `nobody-${randomUUID()}`, journal: quietJournal() })
    const { id } = await insertRun({ db: database.pool }, { sync: `s-${randomUUID()}`, state: 'queued', slot: 'active' })
    const queued = await getRun(database.pool, id)
    assert.ok(queued)
    await control.start(queued)
    const run = await getRun(database.pool, id)
    assert.ok(run?.temporalRunId)
    return { control, run }
  }

  test('reaches the run’s own workflow, and no other of the same sync', async () => {
    const { control, run } = await startedRun()
    await control.start(run)
    assert.equal((await getRun(database.pool, run.id))?.temporalRunId, run.temporalRunId, 'starting again changes nothing')
    assert.equal(await control.signal(run, 'pause'), true)
    assert.equal(await control.endTerminated(run), false)
    const earlier = { ...run, temporalRunId: randomUUID() }
    assert.equal(await control.cancel(earlier), false)
    assert.equal(await control.signal(earlier, 'resume'), false)
    assert.equal(await control.answer(earlier, 'approve'), false)
    assert.equal(await control.cancel(run), true)
    await client.workflow.getHandle(`sync/${run.sync}`).terminate()
    assert.equal(await control.signal(run, 'pause'), false)
    assert.equal(await control.endTerminated(run), true)
    assert.deepEqual((await getRun(database.pool, run.id))?.error?.code, 'terminated')
  })

  test('says so when Temporal is away', async () => {
    const nowhere = connectTemporal({ connection: { address: '127.0.0.1:1' }, namespace: 'default', readAgain: null })
    const control = temporalControl({
      db: database.pool,
      client: new Client({ connection: nowhere }),
      taskQueue: 'q',
      journal: quietJournal(),
    })
    const { id } = await insertRun({ db: database.pool }, { sync: 's', state: 'queued', slot: 'active' })
    const run = { id, sync: 's', temporalRunId: randomUUID() }
    const away = (error: unknown) => error instanceof Problem && error.status === 503 && error.code === 'temporal_away'
    await Promise.all([
      assert.rejects(control.start(run), away),
      assert.rejects(control.endTerminated(run), away),
      assert.rejects(control.cancel(run), away),
      assert.rejects(control.signal(run, 'pause'), away),
      assert.rejects(control.answer(run, 'approve'), away),
    ])
    await nowhere.close()
  })
})
