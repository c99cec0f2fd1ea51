import { durationMs } from '../../activities/plan/guards.ts'
import { parseTemplate } from '../../activities/plan/template.ts'
import type { DestinationConnector } from '../../connectors/contract.ts'
import { escapePointer } from '../../activities/references.ts'
import type { SyncSpec } from '../../state/spec.ts'
import { cronProblem, timezoneProblem } from './cron.ts'
import type { Issue } from './finding.ts'
import { didYouMean } from './nearest.ts'

/** What can be said of a sync by itself: match, mapping, templates, schedule, guards. Pure. */
export function syncIssues(name: string, spec: SyncSpec): Issue[] {
  return [...matchIssues(spec), ...templateIssues(spec), ...scheduleIssues(name, spec), ...guardIssues(spec)]
}

/** What the destination's connector wants of a sync. Pure; fields and their uniqueness are known by asking the destination only. */
export function connectorIssues(connector: DestinationConnector, spec: SyncSpec): Issue[] {
  const issues: Issue[] = []
  if (!connector.modes.includes(spec.mode)) {
    issues.push({ pointer: '/mode', message: `${connector.slug} cannot ${spec.mode}; its modes are ${connector.modes.join(', ')}` })
  }
  if (connector.needsObject && spec.object === undefined)
    issues.push({ pointer: '', message: `"object" is missing; a sync to ${connector.slug} must name the object it writes` })
  if (connector.needsMatch && spec.match === undefined) issues.push({ pointer: '', message: matchMissing(connector, spec) })
  return issues
}

function matchMissing(connector: DestinationConnector, spec: SyncSpec): string {
  const rule = `a sync to ${connector.slug} must name the unique field that identifies a record`
  if (spec.mode !== 'insert') return `"match" is missing; ${rule}`
  return `"match" is missing; ${rule}, with mode insert as well: without it a repeated request would create a record twice`
}

function matchIssues({ match, fields }: SyncSpec): Issue[] {
  if (match === undefined) return []
  const mapping = Object.hasOwn(fields, match) ? fields[match] : undefined
  if (mapping === undefined) {
    const names = Object.keys(fields)
    return [
      {
        pointer: '/match',
        message: `"${match}" is not mapped; match must be one of the fields: ${names.join(', ')}${didYouMean(match, names)}`,
      },
    ]
  }
  if (typeof mapping === 'object' && 'value' in mapping) {
    return [{ pointer: '/match', message: `"${match}" is the same constant for every record, so it identifies none` }]
  }
  return []
}

function templateIssues({ fields }: SyncSpec): Issue[] {
  const issues: Issue[] = []
  for (const [field, mapping] of Object.entries(fields)) {
    if (typeof mapping === 'string' || !('template' in mapping)) continue
    try {
      parseTemplate(mapping.template)
    } catch (error) {
      issues.push({ pointer: `/fields/${escapePointer(field)}/template`, message: `the template does not parse: ${liquidMessage(error)}` })
    }
  }
  return issues
}

/** liquidjs ends its messages with `, line:1, col:4`, and says nothing of what the template is for. */
function liquidMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/, line:(\d+), col:(\d+)$/, ' (line $1, column $2 of the template)')
}

function scheduleIssues(name: string, { schedule }: SyncSpec): Issue[] {
  if (schedule === undefined) return []
  if ('cron' in schedule) {
    const issues: Issue[] = []
    const cron = cronProblem(schedule.cron)
    if (cron !== null) issues.push({ pointer: '/schedule/cron', message: cron })
    const zone = schedule.timezone === undefined ? null : timezoneProblem(schedule.timezone)
    if (zone !== null)
      issues.push({
        pointer: '/schedule/timezone',
        message: zone + didYouMean(schedule.timezone ?? '', Intl.supportedValuesOf('timeZone')),
      })
    return issues
  }
  if ('after' in schedule && schedule.after === name) return [{ pointer: '/schedule/after', message: 'a sync cannot follow itself' }]
  return []
}

function guardIssues({ guards }: SyncSpec): Issue[] {
  const shares = Object.entries(guards ?? {}).flatMap(([guard, limit]) =>
    typeof limit === 'string' && limit.endsWith('%') && Number.parseFloat(limit) > 100
      ? [{ pointer: `/guards/${guard}`, message: 'must not be more than 100%' }]
      : [],
  )
  const tooLong = guards?.holdFor !== undefined && durationMs(guards.holdFor) > durationMs(LONGEST_HOLD)
  return tooLong ? [...shares, { pointer: '/guards/holdFor', message: `must not be longer than ${LONGEST_HOLD}` }] : shares
}

/** A parked run says until when. Days without end lead to no date at all, and its workflow would be stuck. */
const LONGEST_HOLD = '3650d'
