import { createHash } from 'node:crypto'
import { ScheduleOverlapPolicy, ScheduleNotFoundError, type ScheduleOptions } from '@temporalio/client'
import type { SyncSpec } from '../../state/spec.ts'
import { durationMs } from '../plan/guards.ts'
import type { LaunchDeps } from './start-run.ts'

type Schedule = NonNullable<SyncSpec['schedule']>

/** What was missed while Temporal was away is caught up if it is no older than this. */
const CATCHUP_WINDOW = '10 minutes'
const PREFIX = 'schedule/'

/**
 * Makes Temporal's schedules those of the configuration: creates, changes, pauses and deletes. A schedule starts the launcher,
 * whose own id gets a time suffix; the run itself is always `sync/<name>`. Repeatable. A hash in the memo tells what it was made from.
 */
export async function repairSchedules(deps: LaunchDeps, syncs: readonly { name: string; schedule: Schedule | null }[]): Promise<void> {
  const wanted = new Map(syncs.flatMap(({ name, schedule }) => (schedule && !('after' in schedule) ? [[name, schedule] as const] : [])))
  for await (const existing of deps.client.schedule.list()) {
    if (!existing.scheduleId.startsWith(PREFIX)) continue
    const name = existing.scheduleId.slice(PREFIX.length)
    const schedule = wanted.get(name)
    if (!schedule) await deleteSchedule(deps, existing.scheduleId)
    else if (existing.memo?.['made'] === fingerprint(deps, schedule)) wanted.delete(name)
    else await deleteSchedule(deps, existing.scheduleId)
  }
  for (const [name, schedule] of wanted) await createSchedule(deps, name, schedule)
}

/** Pauses a sync's schedule: its receiver is gone for good. */
export async function pauseSchedule(deps: LaunchDeps, sync: string, note: string): Promise<void> {
  try {
    await deps.client.schedule.getHandle(`${PREFIX}${sync}`).pause(note)
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
  }
}

async function createSchedule(deps: LaunchDeps, name: string, schedule: Exclude<Schedule, { after: string }>): Promise<void> {
  const options: ScheduleOptions = {
    scheduleId: `${PREFIX}${name}`,
    spec:
      'every' in schedule
        ? { intervals: [{ every: durationMs(schedule.every), offset: offsetMs(name, durationMs(schedule.every)) }] }
        : { cronExpressions: [schedule.cron], timezone: schedule.timezone ?? 'UTC' },
    action: { type: 'startWorkflow', workflowType: 'launch', workflowId: `launch/${name}`, taskQueue: deps.taskQueue, args: [name] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCHUP_WINDOW },
    state: { paused: schedule.paused ?? false },
    memo: { made: fingerprint(deps, schedule) },
  }
  try {
    await deps.client.schedule.create(options)
  } catch (error) {
    // Listing is eventually consistent: it may be there already, and is looked at again next time.
    if (!(error instanceof Error && /already (exists|running|registered)/i.test(error.message))) throw error
  }
}

/** Spread over the interval by the sync's name: a thousand hourly syncs must not all start on the hour. Whole seconds. */
function offsetMs(name: string, everyMs: number): number {
  const hash = createHash('sha256').update(name).digest().readUInt32BE(0)
  return (hash % Math.max(1, Math.floor(everyMs / 1000))) * 1000
}

async function deleteSchedule(deps: LaunchDeps, id: string): Promise<void> {
  try {
    await deps.client.schedule.getHandle(id).delete()
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error
  }
}

/** Bump when the way from a sync's schedule to Temporal's changes. */
const SCHEDULE_VERSION = 2

function fingerprint(deps: LaunchDeps, schedule: Schedule): string {
  return createHash('sha256')
    .update(JSON.stringify([SCHEDULE_VERSION, schedule, deps.taskQueue]))
    .digest('hex')
    .slice(0, 16)
}
