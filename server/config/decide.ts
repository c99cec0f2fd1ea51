import type { Books, Resource } from '../../state/resources.ts'
import { checkResources, usesOf, type ResourceIssue, type Use } from './check.ts'
import type { Finding } from './finding.ts'
import { planChanges, type Plan } from './plan.ts'
import type { Given } from './shape.ts'

export interface Decision extends Plan {
  readonly findings: readonly Finding[]
  /** Syncs that would be deleted while a run of theirs is active or queued. */
  readonly busy: readonly string[]
}

/**
 * What applying the given documents to what is stored would do, and everything that speaks against it. A stored resource that
 * nobody gave is told of only for what these changes would break. Pure.
 */
export function decide(given: readonly Given[], { stored, busySyncs }: Books, { prune }: { readonly prune: boolean }): Decision {
  const plan = planChanges(
    given.map(({ resource }) => resource),
    stored,
    { prune },
  )
  const places = new Map(given.map(({ resource, document }) => [`${resource.kind} ${resource.name}`, document]))
  const deleted = plan.planned.filter(({ op }) => op === 'delete')
  const isDeleted = ({ kind, name }: Pick<Use, 'kind' | 'name'>) => deleted.some((gone) => gone.kind === kind && gone.name === name)
  const known = new Set(checkResources(stored).map(identity))
  const findings = checkResources(plan.after).flatMap((issue): Finding[] => {
    const document = places.get(`${issue.kind} ${issue.name}`) ?? null
    if (document === null && known.has(identity(issue))) return []
    const use = lostUse(issue, plan.after, isDeleted)
    const message = use
      ? `uses the ${use.kind} "${use.name}", which is stored but not given, so that --prune would delete it`
      : issue.message
    return [{ ...issue, message, document }]
  })
  const busy = deleted.filter(({ kind, name }) => kind === 'Sync' && busySyncs.has(name)).map(({ name }) => name)
  return { ...plan, findings, busy }
}

/** Who uses a resource. */
export function usersOf(resource: { readonly kind: string; readonly name: string }, resources: readonly Resource[]): Resource[] {
  return resources.filter((other) => usesOf(other).some((use) => use.kind === resource.kind && use.name === resource.name))
}

function lostUse(issue: ResourceIssue, resources: readonly Resource[], isDeleted: (use: Use) => boolean): Use | undefined {
  const resource = resources.find(({ kind, name }) => kind === issue.kind && name === issue.name)
  return resource && usesOf(resource).find((use) => use.pointer === issue.pointer && isDeleted(use))
}

function identity({ kind, name, pointer, message }: ResourceIssue): string {
  return JSON.stringify([kind, name, pointer, message])
}
