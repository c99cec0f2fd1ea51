import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { armFailpoints, effect, EFFECTS, FAILPOINTS, MOMENTS, parseFailpoints, passing } from '../../activities/failpoints.ts'

/** The list of failpoints and the places in the code agree: nothing that lasts is done beside it. */

/** Statements of state/ that change something and the effect that every call of them goes through. */
const THROUGH: Readonly<Record<string, keyof typeof EFFECTS>> = {
  acceptRun: 'accept',
  noteSettled: 'job-settled',
  giveBack: 'job-give-back',
  noteEnded: 'job-ended',
  noteClosed: 'job-closed',
  claimClose: 'job-close',
  forgetRemote: 'job-forget',
  noteUploaded: 'job-uploaded',
  claimUpload: 'job-claim',
  noteOpened: 'job-open',
  assignJobs: 'job-divide',
  activateRun: 'activate',
  cancelQueued: 'end',
  beginDelivery: 'begin',
  claimBatch: 'claim',
  dropHashes: 'copy-advance',
  keepHashes: 'keep-hashes',
  compactBaseline: 'compact',
  endRun: 'end',
  endRunFollowed: 'end',
  freezeDefinition: 'define',
  keepQuery: 'query',
  noteStarted: 'note-start',
  pauseAccount: 'pause',
  promoteNext: 'promote',
  publishAdopted: 'adopt',
  publishPlan: 'publish',
  releaseBatch: 'release',
  renewClaim: 'renew',
  setRunState: 'note-state',
  settleBatch: 'settle',
  splitBatch: 'split',
  stageBatches: 'stage',
  doubtStaged: 'stage',
}

/** And those that need no failpoint. */
const BESIDE: Readonly<Record<string, string>> = {
  allowRate: 'a note about the rate; losing it is harmless',
  answerOf: 'an answer that is deleted as it is read; whoever loses it asks again',
  answerInspection: 'an answer to somebody who asks again',
  askInspection: 'a question of somebody who asks again',
  changeResources: 'one transaction for a caller who sees its answer; no run depends on it',
  endNotice: 'until it is written the receiver is told again, under the same id',
  forgetSchedule: 'a note beside the schedule in Temporal; both are looked at again',
  inTransaction: 'the transaction around others',
  insertSegments: 'inside the transactions of compact and adopt',
  migrate: 'before anything runs',
  moveBooks: 'inside the transactions of publish and adopt',
  nextBaselineSeq: 'a number of a sequence',
  noteGone: 'written before the run ends and repeated with it',
  noteNoticeStarted: 'until it is written the workflow is started again, and its id refuses',
  noteSchedule: 'a note beside the schedule in Temporal; without it the schedule is made again',
  prune: 'deletes what nobody reads any more; tried again',
  retryRejections: 'one statement for a caller who sees its answer',
  rewriteStaged: 'a plan that is not published yet, as stage',
  takeRequest: 'a token of the budget; losing one is harmless',
}

const sources = (folders: readonly string[]): { file: string; text: string }[] =>
  folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ file: `${folder}/${name}`, text: readFileSync(`${folder}/${name}`, 'utf8') })),
  )

test('every statement of state/ that changes something is either an effect or has a reason not to be', () => {
  const functions = sources(['state']).flatMap(({ text }) => [...text.matchAll(/^export async function (\w+)[\s\S]*?\n}$/gm)])
  const changing = functions.flatMap(([body, name = '']) =>
    /insert into|update \w+ |delete from|nextval|'commit'|inTransaction\(/.test(body) ? [name] : [],
  )
  const known = [...Object.keys(THROUGH), ...Object.keys(BESIDE)].sort()
  assert.deepEqual(
    changing.filter((name) => !known.includes(name)),
    [],
  )
  const all = functions.map(([, name]) => name)
  assert.deepEqual(
    known.filter((name) => !all.includes(name)),
    [],
  )
})

test('every call of such a statement, and every start of a workflow, goes through its effect', () => {
  const places = sources(['activities', 'server'])
  const beside = (call: string, name: string): string[] => {
    const through = new RegExp(`(function |effect\\('${name}', (async )?\\(\\) =>\\s*(\\{\\s*const \\w+ = await )?)$`)
    return places.flatMap(({ file, text }) =>
      [...text.matchAll(new RegExp(`\\b${call}\\(`, 'g'))].flatMap(({ index }) =>
        through.test(text.slice(Math.max(0, index - 160), index)) ? [] : [`${file}: ${call}`],
      ),
    )
  }
  assert.deepEqual(
    Object.entries(THROUGH).flatMap(([call, name]) => beside(call, name)),
    [],
  )
  // A notice's workflow may be started any number of times: its id is its own.
  assert.deepEqual(beside('deps\\.client\\.workflow\\.start', 'start'), ['activities/notify/start.ts: deps\\.client\\.workflow\\.start'])
  const starts = places.flatMap(({ file, text }) => (/\.(signalWithStart|workflow\.(start|execute))\(/.test(text) ? [file] : []))
  // An inspection only reads.
  assert.deepEqual(starts.sort(), ['activities/launch/inspect.ts', 'activities/launch/start-run.ts', 'activities/notify/start.ts'])
})

test('every failpoint of the list has its place', () => {
  const text = sources(['activities', 'server'])
    .filter(({ file }) => file !== 'activities/failpoints.ts')
    .map((place) => place.text)
    .join('\n')
  const effects = Object.keys(EFFECTS).filter((name) => !text.includes(`effect('${name}', `))
  // Requests leave from the connectors' HTTP client, which tells the gate.
  assert.deepEqual(effects, ['request'])
  const moments = ['before-request', 'after-request', ...Object.keys(MOMENTS)]
  assert.deepEqual(
    moments.filter((name) => text.split(`'${name}'`).length !== 2),
    [],
  )
})

test('a specification names failpoint, action and pass; a wrong one is refused by its part', () => {
  assert.deepEqual(parseFailpoints('after-claim=kill@3, before-end=tell'), [
    { at: 'after-claim', action: 'kill', pass: 3 },
    { at: 'before-end', action: 'tell', pass: null },
  ])
  assert.deepEqual(parseFailpoints('in-request=freeze'), [{ at: 'in-request', action: 'freeze', pass: 1 }])
  assert.equal(parseFailpoints('*=tell').length, FAILPOINTS.length)
  for (const wrong of ['', 'after-claim', 'after-clam=kill', 'after-claim=stop', 'after-claim=kill@0', 'after-claim=kill,'])
    assert.throws(() => parseFailpoints(wrong), /is not FAILPOINT=/, wrong)
})

test('passes are counted from arming on, and an unarmed process does the work alone', async () => {
  after(() => armFailpoints([], () => {}))
  const struck: string[] = []
  armFailpoints(parseFailpoints('after-claim=freeze@2,before-claim=tell'), ({ at, action }, pass) => struck.push(`${at} ${pass} ${action}`))
  for (const n of [1, 2, 3]) assert.equal(await effect('claim', async () => n), n)
  passing('in-request')
  assert.deepEqual(struck, ['before-claim 1 tell', 'before-claim 2 tell', 'after-claim 2 freeze', 'before-claim 3 tell'])
  armFailpoints([], () => {})
  assert.equal(await effect('claim', async () => 4), 4)
  assert.equal(struck.length, 4)
})

test('what fails passes no failpoint after it', async () => {
  after(() => armFailpoints([], () => {}))
  const struck: string[] = []
  armFailpoints(parseFailpoints('*=tell'), ({ at }) => struck.push(at))
  await assert.rejects(
    effect('settle', () => Promise.reject(new Error('away'))),
    /away/,
  )
  assert.deepEqual(struck, ['before-settle'])
})
