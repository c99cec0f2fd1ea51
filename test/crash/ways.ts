import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Client, Connection } from '@temporalio/client'
import { MOMENTS, type Effect, type Failpoint } from '../../activities/failpoints.ts'
import { changesOf, FIRST_LOAD, sandbox, type Ground } from './ground.ts'

/** A course of events that leads past a failpoint. */
export interface Way {
  /** Who passes it. */
  readonly role: 'worker' | 'api'
  /** It goes by bulk jobs: only where the destination has them. */
  readonly byJobs?: true
  /** The warehouse compares. */
  readonly compared?: true
  /** Up to the moment when the failpoint is armed; the sync has been loaded once. */
  readonly before?: (ground: Ground) => Promise<void>
  /** What makes somebody pass it. May reject when the API is what dies; gives the runs that have to succeed. */
  readonly start: (ground: Ground) => Promise<Go>
  /** Record versions that are planned in all. */
  readonly versions: (ground: Ground) => number
}

interface Go {
  /** Called after the kill, once somebody lives again. */
  runs(): Promise<readonly string[]>
}

const known = (...runs: string[]): Go => ({ runs: async () => runs })
const all = (ground: Ground): number => FIRST_LOAD + changesOf(ground.destination)
const changing = {
  role: 'worker',
  before: (ground: Ground) => ground.change(),
  start: async (ground: Ground) => known(await ground.accept()),
  versions: all,
} as const

const plain: Way = changing

/** The first upsert is refused as a whole. */
const refused: Way = {
  ...changing,
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upserts(ground), ...ground.destination.refusal })
  },
}

/** The answer to the first upsert is lost, the request itself is not. */
const lost: Way = {
  ...changing,
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upserts(ground), do: 'drop_after' })
  },
}

const throttled: Way = {
  ...changing,
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upserts(ground), ...ground.destination.throttle })
  },
}

/** Enough changes for a bulk job. */
const byJobs: Way = { ...changing, byJobs: true }

const uploadLost: Way = {
  ...byJobs,
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upload(ground), do: 'drop_after' })
  },
}

const uploadRefused: Way = {
  ...byJobs,
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upload(ground), ...ground.destination.refusal })
  },
}

/** With a copy of the baseline that is brought up to date, and hashes that the run before has kept. */
const compared: Way = { ...changing, compared: true }

/** The run after one that changed more than a fifth of the baseline rewrites it. */
const compacting: Way = {
  role: 'worker',
  before: async (ground) => {
    await ground.change()
    await ground.run()
    await ground.stack.warehouse.query(`update contacts set name = 'three' where id <= 50`)
  },
  start: async (ground) => known(await ground.accept()),
  versions: (ground) => all(ground) + 50,
}

const adopting: Way = {
  role: 'worker',
  // What the table held is put back, so that the destination has what it should.
  start: async (ground) => known(await ground.accept({ adopt: true })),
  versions: () => FIRST_LOAD,
}

/** A run waits for the one before it, which is held in its first request. */
const queued: Way = {
  role: 'worker',
  before: async (ground) => {
    await ground.change()
    await ground.fault({ ...upserts(ground), do: 'hold' })
  },
  start: async (ground) => {
    const first = await ground.accept()
    const response = await fetch(`${ground.stack.sandbox.url}/_sandbox/held?count=1&timeoutSeconds=60`)
    assert.ok(response.ok)
    const next = await ground.accept({ onConflict: 'queue' })
    await sandbox(ground.stack, '/release', {})
    return known(first, next)
  },
  versions: all,
}

/** Another sync follows this one. */
const followed: Way = {
  role: 'worker',
  before: async (ground) => {
    await ground.change()
    const model = { kind: 'Model', name: 'nobody', source: 'warehouse', sql: 'select * from contacts where false', primaryKey: 'id' }
    const follower = {
      kind: 'Sync',
      name: followerOf(ground),
      model: 'nobody',
      destination: 'target',
      mode: 'upsert',
      schedule: { after: ground.sync },
    }
    await ground.stack.apply([model, { ...follower, ...ground.destination.sync }])
  },
  start: async (ground) => {
    const first = await ground.accept()
    return { runs: async () => [first, await onlyRunOf(ground, followerOf(ground), first)] }
  },
  versions: all,
}

const followerOf = (ground: Ground): string => `${ground.sync}-after`

/** As a Schedule does it. */
const launched: Way = {
  role: 'worker',
  before: (ground) => ground.change(),
  start: async (ground) => {
    const { temporal, namespace } = ground.stack
    const connection = await Connection.connect({ address: temporal })
    const client = new Client({ connection, namespace })
    const handle = await client.workflow.start('launch', {
      workflowId: `launch/${ground.sync}`,
      taskQueue: 'tailrace',
      args: [ground.sync],
    })
    return {
      runs: async () => {
        try {
          await handle.result()
        } finally {
          await connection.close()
        }
        return [await newestRun(ground, ground.sync)]
      },
    }
  },
  versions: all,
}

/** Whoever asked gets no answer and asks again with the same key. */
const asked: Way = {
  role: 'api',
  before: (ground) => ground.change(),
  start: async (ground) => {
    const key = randomUUID()
    const ask = async (): Promise<string> => {
      const response = await fetch(`${ground.stack.env['TAILRACE_URL']}/v1/syncs/${ground.sync}/runs`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
      })
      const body = (await response.json()) as { id: string }
      assert.equal(response.status, 202, JSON.stringify(body))
      return body.id
    }
    await assert.rejects(ask(), /fetch failed|terminated|socket/)
    return { runs: async () => [await ask()] }
  },
  versions: all,
}

const BY_EFFECT: Readonly<Record<Effect, Readonly<Record<string, Way>>>> = {
  accept: { asked, launched },
  promote: { queued },
  start: { asked, launched },
  'note-start': { asked, plain },
  activate: { plain },
  define: { plain },
  compact: { compacting },
  // PostgreSQL keeps no results; test/e2e/snowflake.test.ts kills there.
  query: {},
  'copy-advance': { compared },
  'keep-hashes': { compared },
  stage: { plain },
  publish: { plain },
  begin: { plain },
  adopt: { adopting },
  'note-state': { plain },
  claim: { plain },
  renew: { plain },
  request: { plain },
  settle: { plain },
  split: { refused },
  release: { lost },
  pause: { throttled },
  'job-divide': { byJobs },
  'job-open': { byJobs },
  'job-claim': { byJobs },
  'job-uploaded': { byJobs },
  'job-forget': { uploadLost },
  'job-close': { byJobs },
  'job-closed': { byJobs },
  'job-ended': { byJobs },
  'job-give-back': { uploadRefused },
  'job-settled': { byJobs },
  end: { plain, followed },
}

const BY_MOMENT: Readonly<Record<keyof typeof MOMENTS, Readonly<Record<string, Way>>>> = {
  'in-request': { plain },
  'in-compaction': { compacting },
  'before-removals': { plain },
}

export function waysTo(failpoint: Failpoint): Readonly<Record<string, Way>> {
  if (isMoment(failpoint)) return BY_MOMENT[failpoint]
  return BY_EFFECT[failpoint.replace(/^(before|after)-/, '') as Effect]
}

function isMoment(failpoint: Failpoint): failpoint is keyof typeof MOMENTS {
  return failpoint in MOMENTS
}

function upserts(ground: Ground): { readonly method?: string; readonly path?: string } {
  return ground.destination.requests[ground.destination.upserts] ?? {}
}

function upload(ground: Ground): { readonly method?: string; readonly path?: string } {
  return ground.destination.jobs?.requests['job, upload'] ?? {}
}

async function runsOf(ground: Ground, sync: string): Promise<string[]> {
  const { body } = await ground.stack.call('GET', `/v1/runs?sync=${sync}`)
  return (body['data'] as { id: string }[]).map(({ id }) => id)
}

async function newestRun(ground: Ground, sync: string): Promise<string> {
  const [newest] = await runsOf(ground, sync)
  assert.ok(newest, `${sync} has a run`)
  return newest
}

/** The follower's run, once what it follows has ended: there is exactly one. */
async function onlyRunOf(ground: Ground, sync: string, after: string): Promise<string> {
  await ground.ended(after)
  return newestRun(ground, sync)
}
