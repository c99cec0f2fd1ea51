import { destinations } from '../../connectors/registry.ts'
import type { Resource } from '../../state/resources.ts'
import type { ConnectorSpec, Kind } from '../../state/spec.ts'
import type { Issue } from './finding.ts'
import { nearestNames } from './nearest.ts'
import { connectorIssues, syncIssues } from './sync-rules.ts'

export interface ResourceIssue extends Issue {
  readonly level: 'error' | 'warning'
  readonly kind: Kind
  readonly name: string
}

/** A resource names another one: `pointer` is where. */
export interface Use {
  readonly by: Resource
  readonly pointer: string
  readonly kind: Kind
  readonly name: string
}

export function usesOf(resource: Resource): Use[] {
  if (resource.kind === 'Model') return [{ by: resource, pointer: '/source', kind: 'Source', name: resource.spec.source }]
  if (resource.kind !== 'Sync') return []
  const { model, destination, schedule } = resource.spec
  const uses: Use[] = [
    { by: resource, pointer: '/model', kind: 'Model', name: model },
    { by: resource, pointer: '/destination', kind: 'Destination', name: destination },
  ]
  if (schedule && 'after' in schedule) uses.push({ by: resource, pointer: '/schedule/after', kind: 'Sync', name: schedule.after })
  return uses
}

/** All that can be said of resources together, with nothing but their text. `resources` is everything there will be. Pure. */
export function checkResources(resources: readonly Resource[]): ResourceIssue[] {
  const byKey = new Map(resources.map((resource) => [`${resource.kind} ${resource.name}`, resource]))
  const issues: ResourceIssue[] = []
  const tell = (resource: Resource, found: readonly Issue[], level: ResourceIssue['level'] = 'error') =>
    issues.push(...found.map((issue) => ({ ...issue, level, kind: resource.kind, name: resource.name })))
  for (const resource of resources) {
    tell(
      resource,
      usesOf(resource)
        .filter((use) => !byKey.has(`${use.kind} ${use.name}`))
        .map((use) => missing(use, resources)),
    )
    if (resource.kind !== 'Sync') continue
    tell(resource, syncIssues(resource.name, resource.spec))
    const destination = byKey.get(`Destination ${resource.spec.destination}`)
    const connector = destination?.kind === 'Destination' ? destinations.get(destination.spec.connector) : undefined
    if (connector) tell(resource, connectorIssues(connector, resource.spec))
    tell(resource, circle(resource, byKey))
  }
  for (const { sync, message } of sharedObjects(resources, byKey)) tell(sync, [{ pointer: '', message }], 'warning')
  return issues
}

function missing({ kind, name, pointer }: Use, resources: readonly Resource[]): Issue {
  const names = resources.filter((resource) => resource.kind === kind).map((resource) => resource.name)
  const rest = names.length === 0 ? `there is no ${kind} at all` : `there are ${nearestNames(name, names)}`
  return { pointer, message: `there is no ${kind} "${name}"; ${rest}` }
}

/** Syncs that follow each other in a circle would never begin, or never end. Told at each of them. */
function circle(sync: Resource<'Sync'>, byKey: ReadonlyMap<string, Resource>): Issue[] {
  const way = [sync.name]
  for (let at: Resource | undefined = sync; at?.kind === 'Sync';) {
    const { schedule }: Resource<'Sync'>['spec'] = at.spec
    const next = schedule && 'after' in schedule ? schedule.after : null
    // A circle further on is told where it is; one sync that follows itself is told by its own rules.
    if (next === null || (next !== sync.name && way.includes(next)) || (next === sync.name && way.length === 1)) return []
    way.push(next)
    if (next === sync.name)
      return [{ pointer: '/schedule/after', message: `the syncs follow each other in a circle: ${way.join(' after ')}` }]
    at = byKey.get(`Sync ${next}`)
  }
  return []
}

type Sync = Resource<'Sync'>

/** Mirror removes what left its own model; what another sync put there looks to its users like one list, so it is worth a word. */
function sharedObjects(resources: readonly Resource[], byKey: ReadonlyMap<string, Resource>): { sync: Sync; message: string }[] {
  const groups = new Map<string, Sync[]>()
  for (const sync of resources) {
    if (sync.kind !== 'Sync') continue
    const destination = byKey.get(`Destination ${sync.spec.destination}`)
    if (destination?.kind !== 'Destination') continue
    const place = `${account(destination.spec)} ${sync.spec.object ?? ''}`
    groups.set(place, [...(groups.get(place) ?? []), sync])
  }
  return [...groups.values()].flatMap((group) =>
    group
      .filter((sync) => sync.spec.mode === 'mirror' && group.length > 1)
      .map((sync) => {
        const others = group.filter((other) => other !== sync).map((other) => other.name)
        const place = sync.spec.object === undefined ? 'the same destination' : `the object ${sync.spec.object} of the same account`
        return {
          sync,
          message: `mode mirror, and ${others.join(', ')} feeds ${place} too: a record that both write is removed when it leaves this model`,
        }
      }),
  )
}

/** Same connector, address and credentials, as far as the text tells: one account. */
function account({ connector, config }: ConnectorSpec): string {
  const secrets = destinations.get(connector)?.secrets ?? []
  const roots = new Set([...secrets.map((path) => path.split('.')[0] ?? path), 'url', 'baseUrl', 'loginUrl', 'accessUrl'])
  return JSON.stringify([
    connector,
    Object.entries(config)
      .filter(([key]) => roots.has(key))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ])
}
