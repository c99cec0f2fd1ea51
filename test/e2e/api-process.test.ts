import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { freePort } from '../../server/embedded/port.ts'
import { migrate } from '../../state/migrate.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { eventually } from '../harness/eventually.ts'
import { endOf, startProgram, type Program } from '../harness/program.ts'
import { insertBatch, insertRun } from '../contract/api-fixture.ts'

const MAIN = ['dist/server/main.js']

/** Needs dist/ (`npm run build`): what is tested is the command as a user has it. */
describe('tailrace api and the verbs that operate runs', () => {
  let database: TestDatabase
  let api: Program
  let env: NodeJS.ProcessEnv
  let [port, metricsPort] = [0, 0]

  before(async () => {
    database = await freshDatabase()
    await migrate(database.pool)
    port = await freePort()
    metricsPort = await freePort()
    env = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      DATABASE_URL: database.url,
      // Nobody listens there: the API has to live without Temporal.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      TAILRACE_PORT: String(port),
      TAILRACE_METRICS_PORT: String(metricsPort),
      TAILRACE_URL: `http://127.0.0.1:${port}`,
      NO_COLOR: '1',
    }
    api = startProgram([...MAIN, 'api'], { env })
    await api.says(/the API listens/)
  })
  after(async () => {
    api.kill('SIGTERM')
    const end = await endOf(api)
    await database.drop()
    assert.deepEqual(end, { code: 0, signal: null }, api.stderr())
  })

  const cli = async (...args: string[]) => {
    const program = startProgram([...MAIN, ...args], { env })
    const { code } = await endOf(program)
    return { code, stdout: program.stdout(), stderr: program.stderr() }
  }
  const newSync = async (): Promise<string> => {
    const name = `s-${randomUUID().slice(0, 8)}`
    const spec = { model: 'm', destination: 'd', mode: 'upsert', fields: { a: 'a' } }
    await database.pool.query(`insert into resource (kind, name, spec) values ('Sync', $1, $2)`, [name, JSON.stringify(spec)])
    return name
  }
  /** Sets the state of a sync's run as soon as there is one. */
  const end = async (sync: string, state: string): Promise<void> => {
    const sql = `with r as (
        update run set state = $2, slot = case when $2 = 'awaiting_approval' then slot end, owed = 3, finished_at = now(),
          planned = '{"read": 9, "added": 5, "changed": 0, "removed": 0}' where sync = $1 returning id
      ) select pg_notify('tailrace_run', id::text) from r`
    await eventually('a run that was accepted', async () => (await database.pool.query(sql, [sync, state])).rowCount === 1)
  }

  test('is alive, not ready without Temporal, and says which is missing', async () => {
    const get = async (path: string) => fetch(`http://127.0.0.1:${metricsPort}${path}`)
    assert.equal((await get('/livez')).status, 200)
    const ready = await get('/readyz')
    assert.deepEqual([ready.status, await ready.json()], [503, { ok: false, failing: 'temporal' }])
    const metrics = await (await get('/metrics')).text()
    assert.match(metrics, /tailrace_runs\{state="queued"\} 0/)
    assert.equal((await get('/v1/runs')).status, 404)
  })

  test('a port that is taken ends it with a clear error', async () => {
    const second = startProgram([...MAIN, 'api'], { env: { ...env, TAILRACE_METRICS_PORT: '0' } })
    assert.equal((await endOf(second)).code, 1)
    assert.match(second.stderr(), new RegExp(`Port ${port} of 127.0.0.1 is in use.*TAILRACE_PORT`))
    const third = startProgram([...MAIN, 'api'], { env: { ...env, TAILRACE_PORT: '0' } })
    assert.equal((await endOf(third)).code, 1)
    assert.match(third.stderr(), new RegExp(`Port ${metricsPort} of 127.0.0.1 for metrics is in use.*TAILRACE_METRICS_PORT`))
  })

  test('run: accepted is 0 and prints the id; an active one is 1 and named; runs lists it', async () => {
    const sync = await newSync()
    const accepted = await cli('run', sync)
    assert.equal(accepted.code, 0, accepted.stderr)
    const id = accepted.stdout.trim()
    assert.match(id, /^[0-9a-f-]{36}$/)
    const refused = await cli('run', sync)
    assert.deepEqual([refused.code, refused.stdout], [1, ''])
    assert.match(refused.stderr, new RegExp(`run ${id} of ${sync} is active`))
    const listed = await cli('runs', sync)
    assert.match(listed.stdout, new RegExp(`^RUN .*\n${id}  ${sync}  queued .* owed: 0 `))
    const json = await cli('runs', sync, '--json')
    assert.equal((JSON.parse(json.stdout) as { data: { id: string }[] }).data[0]?.id, id)
    const cancelled = await cli('cancel', id)
    assert.equal(cancelled.code, 0, cancelled.stderr)
    assert.match(cancelled.stdout, /^cancelled · run/)
    assert.equal((await cli('pause', id)).code, 1)
  })

  test('run --wait: what the run ended as is the exit code', async () => {
    const codes = { succeeded: 0, partial: 2, failed: 1, cancelled: 1, awaiting_approval: 3 }
    const waited = Object.entries(codes).map(async ([state, code]) => {
      const sync = await newSync()
      const [{ code: exit, stdout, stderr }] = await Promise.all([cli('run', sync, '--wait'), end(sync, state)])
      assert.equal(exit, code, `${state}: ${stdout}${stderr}`)
      assert.match(stdout, new RegExp(`^${state} · run .*\nread: 9 · unchanged: 0 · added: 5 .*\n.*\nowed: 3`))
      if (state === 'awaiting_approval') assert.match(stderr, /tailrace approve/)
    })
    await Promise.all(waited)
  })

  test('run --wait --timeout: 1, and it says that the run goes on', async () => {
    const { code, stderr } = await cli('run', await newSync(), '--wait', '--timeout', '1')
    assert.equal(code, 1)
    assert.match(stderr, /is still queued after 1 s; it goes on/)
  })

  // Answers with row values were read by JSON.parse, which rounds.
  test('what it prints of records keeps every digit', async () => {
    const db = database.pool
    const run = await insertRun({ db }, { sync: await newSync(), keyParts: ['int64'] })
    await insertBatch({ db }, run, ['int64'], { records: [{ key: ['1'], op: 'a', fields: '{"n":12345678901234567890.10}' }] })
    for (const args of [[], ['--json']]) {
      const { code, stdout, stderr } = await cli('changes', run.id, ...args)
      assert.equal(code, 0, stderr)
      assert.match(stdout, /12345678901234567890\.10/)
    }
  })

  test('wrong usage is 64, an unknown sync 1, and doctor says what is away', async () => {
    assert.equal((await cli('run')).code, 64)
    assert.equal((await cli('run', 's', '--on-conflict', 'wait')).code, 64)
    assert.equal((await cli('runs', '--limit', '0')).code, 64)
    for (const wrong of [
      ['runs', '--state', 'asleep'],
      ['runs', '--cursor', 'x'],
      ['run', await newSync(), '--adopt', '--full'],
      ['preview', await newSync(), '--limit', '1001'],
    ])
      assert.equal((await cli(...wrong)).code, 64, wrong.join(' '))
    const unknown = await cli('run', 'nowhere')
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'there is no sync nowhere\n'])
    const doctor = await cli('doctor')
    assert.equal(doctor.code, 1)
    assert.match(doctor.stdout, /database +yes .*\ntemporal +NO /)
  })
})
