import type { SyncProblem } from '../../activities/launch/answer.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import type { Resource } from '../../state/resources.ts'
import type { Finding } from './finding.ts'
import type { Given } from './shape.ts'

/** The syncs that the given documents concern, with everything they refer to, for a worker to check against source and destination. */
export function syncsToAsk(given: readonly Given[], after: readonly Resource[]): Record<string, SyncConfiguration> {
  const touched = new Set(given.map(({ resource }) => `${resource.kind} ${resource.name}`))
  const syncs: Record<string, SyncConfiguration> = {}
  for (const sync of after) {
    if (sync.kind !== 'Sync') continue
    const model = after.find((other) => other.kind === 'Model' && other.name === sync.spec.model)
    if (model?.kind !== 'Model') continue
    const source = after.find((other) => other.kind === 'Source' && other.name === model.spec.source)
    const destination = after.find((other) => other.kind === 'Destination' && other.name === sync.spec.destination)
    if (source?.kind !== 'Source' || destination?.kind !== 'Destination') continue
    if (![sync, model, source, destination].some(({ kind, name }) => touched.has(`${kind} ${name}`))) continue
    syncs[sync.name] = { sync: sync.spec, model: model.spec, source: source.spec, destination: destination.spec }
  }
  return syncs
}

/** What the worker said, at the document that it is about: the primary key is the model's, everything else the sync's. */
export function connectFindings(problems: readonly SyncProblem[], given: readonly Given[], after: readonly Resource[]): Finding[] {
  return problems.map(({ level, sync, pointer, message }) => {
    const resource = after.find((other) => other.kind === 'Sync' && other.name === sync)
    const ofModel = pointer.startsWith('/primaryKey') && resource?.kind === 'Sync'
    const [kind, name] = ofModel ? (['Model', resource.spec.model] as const) : (['Sync', sync] as const)
    const document = given.find((one) => one.resource.kind === kind && one.resource.name === name)?.document ?? null
    return { level, kind, name, document, pointer, message }
  })
}
