import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { descendants, survivors } from '../harness/processes.ts'
import { endOf, startProgram, type Program } from '../harness/program.ts'

interface Answer {
  readonly agrees: boolean
  readonly runs: readonly {
    readonly round: string
    readonly destination: string
    readonly state: string
    readonly says: Record<string, number>
    readonly holds: Record<string, number>
    readonly problems: readonly string[]
    readonly temporalUrl: string
  }[]
  readonly owed: readonly { readonly destination: string; readonly key: unknown; readonly code: string; readonly email: string | null }[]
}

/** Needs dist/ (`npm run build`): what is tested is `npm run demo` as a user has it, with fewer rows. */
describe('npm run demo', { skip: process.platform === 'linux' ? false : 'reads /proc' }, () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-demo-test-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  // What the user has set for an installation of their own must not reach the demo.
  const startDemo = (...args: string[]): Program =>
    startProgram(['dist/server/demo/main.js', ...args], {
      env: { ...process.env, TMPDIR: folder, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/production', TEMPORAL_ADDRESS: '127.0.0.1:1' },
    })

  test('loads, changes, loads again; destinations, runs and warehouse agree; nothing is left', async () => {
    const demo = startDemo('--rows', '1000', '--json')
    await demo.says(/^first load/m)
    const processes = await descendants(demo.pid)
    assert.ok(processes.length >= 4, 'api, worker, Temporal and PostgreSQL were running')
    assert.deepEqual(await endOf(demo), { code: 0, signal: null }, demo.stderr())
    const answer = JSON.parse(demo.stdout()) as Answer

    const none = { unchanged: 0, added: 0, changed: 0, removed: 0, invalid: 0, skipped: 0, rejected: 0, owed: 0 }
    const all = { ...none, read: 1000, added: 1000, delivered: 1000 }
    const some = { ...none, read: 982, removed: 20 }
    assert.deepEqual(
      answer.runs.map(({ round, destination, state, says }) => [round, destination, state, pick(says, all)]),
      [
        ['first', 'hubspot', 'succeeded', all],
        ['first', 'webhook', 'succeeded', all],
        ['second', 'hubspot', 'partial', { ...some, unchanged: 968, changed: 10, invalid: 4, delivered: 30, owed: 3 }],
        ['second', 'webhook', 'partial', { ...some, unchanged: 968, changed: 11, invalid: 3, delivered: 31, owed: 2 }],
      ],
    )
    const counted = { records: 0, effective: 0, repeated: 0 }
    assert.deepEqual(
      answer.runs.map(({ holds }) => pick(holds, counted)),
      [
        { records: 1000, effective: 1000, repeated: 0 },
        { records: 1000, effective: 1000, repeated: 0 },
        { records: 980, effective: 30, repeated: 0 },
        { records: 980, effective: 31, repeated: 0 },
      ],
    )
    assert.deepEqual(
      answer.runs.flatMap(({ problems }) => problems),
      [],
    )
    assert.equal(answer.agrees, true)
    for (const { temporalUrl } of answer.runs) assert.match(temporalUrl, /^http:\/\/127\.0\.0\.1:\d+\/.+customers-to-(hubspot|webhook)/)
    const owed = answer.owed.map(({ destination, key, code }) => `${destination} ${key === null ? 'NULL' : 'id'} ${code}`)
    assert.deepEqual(owed.sort(), [
      'hubspot NULL null_key',
      'hubspot id INVALID_EMAIL',
      'hubspot id duplicate_key',
      'webhook NULL null_key',
      'webhook id duplicate_key',
    ])
    assert.match(answer.owed.find(({ code }) => code === 'INVALID_EMAIL')?.email ?? '', / at example\.com$/)

    assert.deepEqual(await survivors(processes), [])
    assert.deepEqual(await readdir(folder), [])
  })

  test('the same with Salesforce as the CRM', async () => {
    const demo = startDemo('--destination', 'salesforce', '--rows', '400', '--json')
    assert.deepEqual(await endOf(demo), { code: 0, signal: null }, demo.stderr())
    const answer = JSON.parse(demo.stdout()) as Answer
    assert.deepEqual(
      answer.runs.map(({ round, destination, state, holds }) => [round, destination, state, holds['effective'], holds['repeated']]),
      [
        ['first', 'salesforce', 'succeeded', 400, 0],
        ['first', 'webhook', 'succeeded', 400, 0],
        ['second', 'salesforce', 'partial', 24, 0],
        ['second', 'webhook', 'partial', 25, 0],
      ],
    )
    assert.equal(answer.agrees, true)
    const owed = answer.owed.filter(({ destination }) => destination === 'salesforce').map(({ code }) => code)
    assert.deepEqual(owed.sort(), ['INVALID_EMAIL_ADDRESS', 'duplicate_key', 'null_key'])
  })

  test('Ctrl-C in the middle of it stops all of it', async () => {
    const demo = startDemo('--rows', '1000')
    await demo.says(/^first load/m)
    const processes = await descendants(demo.pid)
    demo.kill('SIGINT')
    assert.deepEqual(await endOf(demo), { code: 1, signal: null }, demo.stderr())
    assert.equal(demo.stdout(), '')
    assert.match(demo.stderr(), /Stopped; nothing is left running\.\n$/)
    assert.deepEqual(await survivors(processes), [])
    assert.deepEqual(await readdir(folder), [])
  })

  test('a number of rows that it cannot do is wrong usage', async () => {
    const demo = startDemo('--rows', '5')
    assert.equal((await endOf(demo)).code, 64)
    assert.match(demo.stderr(), /from 200 to 200000/)
  })
})

function pick(from: Record<string, number>, like: object): Record<string, number | undefined> {
  return Object.fromEntries(Object.keys(like).map((name) => [name, from[name]]))
}
