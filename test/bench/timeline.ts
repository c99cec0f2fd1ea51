import type { WorkflowHandle } from '@temporalio/client'

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number]

/** Where the time of a run went, by Temporal's clock; milliseconds. */
export interface Timeline {
  /** From the workflow's start to its end. */
  readonly wholeMs: number
  /** In the order of their first start. */
  readonly steps: readonly Step[]
}

interface Step {
  readonly activity: string
  readonly times: number
  /** Between being scheduled and being started, all times together. */
  readonly queuedMs: number
  /** From the first start to the last end. */
  readonly spanMs: number
}

/** Pure. */
export function timelineOf(events: readonly HistoryEvent[]): Timeline {
  const scheduled = new Map<number, { activity: string; atMs: number; startedMs: number }>()
  const steps = new Map<string, { times: number; queuedMs: number; fromMs: number; toMs: number }>()
  for (const event of events) {
    const atMs = msOf(event.eventTime)
    const { activityTaskScheduledEventAttributes: schedule, activityTaskStartedEventAttributes: start } = event
    if (schedule) scheduled.set(Number(event.eventId), { activity: schedule.activityType?.name ?? '?', atMs, startedMs: atMs })
    const starting = start ? scheduled.get(Number(start.scheduledEventId)) : undefined
    if (starting) starting.startedMs = atMs
    const ending = scheduled.get(Number(event.activityTaskCompletedEventAttributes?.scheduledEventId))
    if (!ending) continue
    const step = steps.get(ending.activity) ?? { times: 0, queuedMs: 0, fromMs: Infinity, toMs: 0 }
    step.times++
    step.queuedMs += ending.startedMs - ending.atMs
    step.fromMs = Math.min(step.fromMs, ending.startedMs)
    step.toMs = Math.max(step.toMs, atMs)
    steps.set(ending.activity, step)
  }
  const [first, last] = [events[0], events[events.length - 1]]
  return {
    wholeMs: msOf(last?.eventTime) - msOf(first?.eventTime),
    steps: [...steps]
      .sort(([, a], [, b]) => a.fromMs - b.fromMs)
      .map(([activity, { times, queuedMs, fromMs, toMs }]) => ({ activity, times, queuedMs, spanMs: toMs - fromMs })),
  }
}

function msOf(time: HistoryEvent['eventTime']): number {
  return Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6
}

export function describeTimeline({ wholeMs, steps }: Timeline): string {
  const each = steps.map(
    ({ activity, times, queuedMs, spanMs }) =>
      `${activity}${times > 1 ? ` ×${times}` : ''} ${Math.round(spanMs)}${queuedMs >= 1 ? ` (queued ${Math.round(queuedMs)})` : ''}`,
  )
  return `workflow ${Math.round(wholeMs)} ms: ${each.join(' · ')}`
}
