import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { CASES, historyFile, PRIVATE, type Case } from './recorded-model.ts'

/**
 * Recorded histories against this build's workflows: runs that are under way while a new version is rolled out must go on. A change
 * of the workflow's steps that breaks one of these needs a patch marker (`patched()`), not a new recording.
 */
const BUNDLE = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url))

interface RecordedEvent {
  readonly eventType: string
  readonly activityTaskScheduledEventAttributes?: { readonly activityType: { readonly name: string }; readonly input?: unknown }
}

async function load(name: Case): Promise<{ events: RecordedEvent[] }> {
  return JSON.parse(await readFile(historyFile(name), 'utf8')) as { events: RecordedEvent[] }
}

before(() => {
  if (!existsSync(BUNDLE)) throw new Error('dist/workflow-bundle.js is missing: run `npm run build` first')
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  })
})

for (const name of CASES) {
  test(`a recorded run replays: ${name}`, async () => {
    await Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, await load(name))
  })
}

test('a history with another step does not replay: the replay can fail', async () => {
  const text = await readFile(historyFile('plain'), 'utf8')
  const other: unknown = JSON.parse(text.replaceAll('"name":"plan"', '"name":"planAnew"'))
  await assert.rejects(Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, other), { name: 'DeterminismViolationError' })
})

/** Every text of a value, payloads decoded. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') {
    yield value
    const decoded = Buffer.from(value, 'base64')
    if (decoded.toString('base64') === value) yield decoded.toString('utf8')
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield key
      yield* textsOf(item)
    }
  }
}

test('no history holds a row value or a secret', async () => {
  let searched = 0
  for (const name of CASES) {
    for (const text of textsOf(await load(name))) {
      searched++
      for (const secret of PRIVATE) assert.ok(!text.includes(secret), `${name} holds ${secret}: ${text.slice(0, 200)}`)
    }
  }
  assert.ok(searched > 1000)
  const found = [...textsOf({ payloads: [{ data: Buffer.from('"row1@recorded.example"').toString('base64') }] })]
  assert.ok(
    found.some((text) => text.includes('recorded.example')),
    'the search looks into payloads',
  )
})

test('the cases are what they say: each history has the steps and the end of its story', async () => {
  const seen: Record<string, string> = {}
  for (const name of CASES) {
    const { events } = await load(name)
    const has = (type: string) => events.some((event) => event.eventType === `EVENT_TYPE_${type}`)
    const marks = ['TIMER_FIRED', 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED', 'WORKFLOW_EXECUTION_SIGNALED', 'ACTIVITY_TASK_FAILED'].filter(has)
    seen[name] = [...marks, events.at(-1)?.eventType.slice('EVENT_TYPE_WORKFLOW_EXECUTION_'.length)].join(' ')
  }
  assert.deepEqual(seen, {
    plain: 'COMPLETED',
    'no-change': 'COMPLETED',
    'several-ranges': 'COMPLETED',
    'eight-ranges': 'COMPLETED',
    'lost-answer': 'TIMER_FIRED COMPLETED',
    'held-approved': 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED COMPLETED',
    'held-rejected': 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED COMPLETED',
    'held-expired': 'TIMER_FIRED COMPLETED',
    'paused-resumed': 'WORKFLOW_EXECUTION_SIGNALED COMPLETED',
    cancelled: 'CANCELED',
    'failed-auth': 'FAILED',
    'continued-as-new': 'CONTINUED_AS_NEW',
    'went-on-as-new': 'COMPLETED',
    inherited: 'COMPLETED',
    'dry-run': 'COMPLETED',
    adopt: 'COMPLETED',
    inspection: 'COMPLETED',
    launch: 'COMPLETED',
    bulk: 'COMPLETED',
    'bulk-cancelled': 'ACTIVITY_TASK_FAILED CANCELED',
    'bulk-continued-as-new': 'CONTINUED_AS_NEW',
    'bulk-went-on-as-new': 'COMPLETED',
  })
})

test('the runs by bulk jobs went by them, and began each job once', async () => {
  const steps = async (name: Case): Promise<Record<string, number>> => {
    const names = (await load(name)).events.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType.name ?? [])
    return Object.fromEntries(
      ['bulkOpen', 'bulkUpload', 'bulkCollect', 'bulkAbort', 'deliver'].map((step) => [step, names.filter((each) => each === step).length]),
    )
  }
  assert.deepEqual(await steps('bulk'), { bulkOpen: 3, bulkUpload: 3, bulkCollect: 2, bulkAbort: 0, deliver: 1 })
  assert.deepEqual(await steps('bulk-cancelled'), { bulkOpen: 1, bulkUpload: 1, bulkCollect: 1, bulkAbort: 1, deliver: 0 })
  const one = { bulkOpen: 1, bulkUpload: 1, bulkCollect: 1, bulkAbort: 0, deliver: 0 }
  assert.deepEqual(await Promise.all([steps('bulk-continued-as-new'), steps('bulk-went-on-as-new')]), [one, one])
})

test('a run of 100,000 changed records stays within 150 events, by what its ranges cost here', async () => {
  const { events } = await load('eight-ranges')
  const ranges = events.filter((event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'deliver')
  // 450 batches of one record each, in ranges of 64 batches.
  assert.equal(ranges.length, 8)
  const inputs = ranges.map(({ activityTaskScheduledEventAttributes }) => [...textsOf(activityTaskScheduledEventAttributes?.input)].join())
  assert.ok(
    inputs.some((input) => input.includes('"fromSeq":320,"toSeq":383')),
    'a range is 64 batches',
  )
  // Scheduled, started, completed, and at most a workflow task (scheduled, started, completed) for each completion.
  const eventsARange = 6
  const batches = 100_000 / 100
  const expected = events.length + eventsARange * (batches / 100 - ranges.length)
  assert.ok(expected <= 150, `${expected} events`)
})
