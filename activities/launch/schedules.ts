import { createHash } from 'node:crypto'
import { ScheduleOverlapPolicy, ScheduleNotFoundError, type ScheduleDescription } from '@temporalio/client'
import { forgetSchedule, knownSchedules, noteGone, noteSchedule, type KnownSchedule } from '../../state/schedules.ts'
import type { SyncSpec } from '../../state/spec.ts'
import { durationMs } from '../plan/guards.ts'
import type { LaunchDeps } from './start-run.ts'

type Schedule = NonNullable<SyncSpec['schedule']>
/** Those that Temporal keeps. */
type Timed = Exclude<Schedule, { after: string }>

/** What was missed while Temporal was away is caught up if it is no older than this. */
const CATCHUP_WINDOW = '10 minutes'
const PREFIX = 'schedule/'

/** Looked at more closely than the list shows, in turns: 1,000 schedules take ten passes. */
const LOOKS_A_PASS = 100
let turn = 0

/**
 * Makes Temporal's schedules those of the configuration: creates, changes, pauses and deletes, and puts back what somebody changed by
 * hand. A schedule starts the launcher, whose own id gets a time suffix; the run itself is always `sync/<name>`. Repeatable. Gives those
 * that Temporal refuses; they hold up no other.
 */
export async function repairSchedules(
  deps: LaunchDeps,
  syncs: readonly { name: string; schedule: Schedule | null }[],
): Promise<readonly RefusedSchedule[]> {
  const wanted = new Map(syncs.flatMap(({ name, schedule }) => (schedule && !('after' in schedule) ? [[name, schedule] as const] : [])))
  const known = await knownSchedules(deps.db)
  const there = new Set<string>()
  for await (const { scheduleId } of deps.client.schedule.list()) {
    if (!scheduleId.startsWith(PREFIX)) continue
    const name = scheduleId.slice(PREFIX.length)
    if (wanted.has(name)) there.add(name)
    else await deleteSchedule(deps, name)
  }
  const kept: [string, Timed, KnownSchedule][] = []
  const refused: RefusedSchedule[] = []
  for (const [name, schedule] of wanted) {
    const before = known.get(name)
    if (there.has(name) && before?.made === fingerprint(deps, schedule)) kept.push([name, schedule, before])
    else {
      const made = await makeSchedule(deps, name, schedule, false).catch(refusal)
      if (made instanceof Error) refused.push({ sync: name, error: made })
      else await noteSchedule(deps.db, name, { made: fingerprint(deps, schedule), shown: shownAs(made) })
    }
  }
  for (const [name, schedule, before] of nextOf(kept)) await repairSchedule(deps, name, schedule, before)
  return refused
}

export interface RefusedSchedule {
  readonly sync: string
  readonly error: Error
}

/** The SDK's word for a schedule that the server does not take, and JavaScript's for a time zone that it does not know. */
function refusal(error: unknown): Error {
  if (error instanceof TypeError || error instanceof RangeError) return error
  throw error
}

/** The receiver of a sync is gone for good: its schedule pauses until a run gets through. */
export async function pauseSchedule(deps: LaunchDeps, sync: string, note: string): Promise<void> {
  await noteGone(deps.db, sync, true)
  try {
    await deps.client.schedule.getHandle(`${PREFIX}${sync}`).pause(note)
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
  }
}

function nextOf<T>(all: readonly T[]): readonly T[] {
  const from = all.length === 0 ? 0 : turn % all.length
  turn = from + LOOKS_A_PASS
  return [...all, ...all].slice(from, from + Math.min(LOOKS_A_PASS, all.length))
}

async function repairSchedule(deps: LaunchDeps, name: string, schedule: Timed, { shown, gone }: KnownSchedule): Promise<void> {
  try {
    const now = await deps.client.schedule.getHandle(`${PREFIX}${name}`).describe()
    if (shownAs(now) === shown && now.state.paused === (gone || isPaused(schedule))) return
  } catch (error) {
    // Listing is eventually consistent: it was deleted a moment ago.
    if (!(error instanceof ScheduleNotFoundError)) throw error
  }
  // What it should look like stays as noted: somebody may change it again before it is looked at.
  await makeSchedule(deps, name, schedule, gone)
}

/** Creates it, or makes the one that is there what it should be. Gives how Temporal shows it. */
async function makeSchedule(deps: LaunchDeps, name: string, schedule: Timed, gone: boolean): Promise<ScheduleDescription> {
  const handle = deps.client.schedule.getHandle(`${PREFIX}${name}`)
  const paused = gone || isPaused(schedule)
  const options = {
    spec:
      'every' in schedule
        ? { intervals: [{ every: durationMs(schedule.every), offset: offsetMs(name, durationMs(schedule.every)) }] }
        : { cronExpressions: [schedule.cron], timezone: zoneOf(schedule.timezone ?? 'UTC') },
    action: { type: 'startWorkflow', workflowType: 'launch', workflowId: `launch/${name}`, taskQueue: deps.taskQueue, args: [name] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCHUP_WINDOW },
    state: { paused },
  } as const
  try {
    await handle.update((before) => ({ ...options, state: { ...before.state, paused } }))
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
    await deps.client.schedule.create({ ...options, scheduleId: handle.scheduleId })
  }
  return handle.describe()
}

/** By its own name: Temporal knows neither `europe/berlin` nor every name of old, which JavaScript takes. */
function zoneOf(timezone: string): string {
  return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone
}

/** Spread over the interval by the sync's name: a thousand hourly syncs must not all start on the hour. Whole seconds. */
function offsetMs(name: string, everyMs: number): number {
  const hash = createHash('sha256').update(name).digest().readUInt32BE(0)
  return (hash % Math.max(1, Math.floor(everyMs / 1000))) * 1000
}

async function deleteSchedule(deps: LaunchDeps, name: string): Promise<void> {
  try {
    await deps.client.schedule.getHandle(`${PREFIX}${name}`).delete()
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
  }
  await forgetSchedule(deps.db, name)
}

const isPaused = (schedule: Timed): boolean => schedule.paused ?? false

/** Temporal shows a cron expression as a calendar of its own, so what it shows is compared with what it showed. */
function shownAs({ spec, action, policies }: ScheduleDescription): string {
  return hash([spec, action, policies])
}

/** Bump when the way from a sync's schedule to Temporal's changes, and when the SDK shows schedules differently. */
const SCHEDULE_VERSION = 3

function fingerprint(deps: LaunchDeps, schedule: Schedule): string {
  return hash([SCHEDULE_VERSION, schedule, deps.taskQueue])
}

function hash(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}
