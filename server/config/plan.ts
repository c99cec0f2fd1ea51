import { isDeepStrictEqual } from 'node:util'
import type { Resource, ResourceChange, StoredResource } from '../../state/resources.ts'
import type { Kind } from '../../state/spec.ts'
import { differences, type PathChange } from './difference.ts'

export interface PlannedChange {
  readonly op: 'create' | 'update' | 'delete'
  readonly kind: Kind
  readonly name: string
  /** Empty for create and delete. */
  readonly paths: readonly PathChange[]
}

/** What a change means for what a sync has sent already. */
export interface Effect {
  readonly sync: string
  readonly effect: 'new_baseline' | 'full_run' | 'other_account'
  /** What changed: `match`, `the model's primaryKey`, … */
  readonly because: readonly string[]
}

export interface Plan {
  /** In the order in which they are carried out. */
  readonly planned: readonly PlannedChange[]
  readonly changes: readonly ResourceChange[]
  readonly unchanged: number
  readonly effects: readonly Effect[]
  /** Everything there will be. */
  readonly after: readonly Resource[]
}

const ORDER: readonly Kind[] = ['Source', 'Destination', 'Model', 'Sync', 'Notification']

/** What must change so that what is stored becomes what is given; with `prune` what is not given goes. Pure. */
export function planChanges(given: readonly Resource[], stored: readonly StoredResource[], { prune }: { readonly prune: boolean }): Plan {
  const before = new Map(stored.map((resource) => [keyOf(resource), resource]))
  const wanted = new Map(given.map((resource) => [keyOf(resource), resource]))
  const written = [...given]
    .sort((a, b) => rank(a.kind) - rank(b.kind) || (a.name < b.name ? -1 : 1))
    .flatMap((resource) => {
      const known = before.get(keyOf(resource))
      const paths = known ? differences(known.spec, resource.spec) : []
      return known && paths.length === 0 ? [] : [{ op: known ? ('update' as const) : ('create' as const), resource, paths }]
    })
  const removed = stored.filter((resource) => prune && !wanted.has(keyOf(resource))).sort((a, b) => rank(b.kind) - rank(a.kind))
  const after: Resource[] = [...given, ...stored.filter((resource) => !prune && !wanted.has(keyOf(resource)))]
  return {
    planned: [
      ...written.map(({ op, resource, paths }) => ({ op, kind: resource.kind, name: resource.name, paths })),
      ...removed.map(({ kind, name }) => ({ op: 'delete' as const, kind, name, paths: [] })),
    ],
    changes: [
      ...written.map(({ op, resource }) => ({ op, resource })),
      ...removed.map(({ kind, name }) => ({ op: 'delete' as const, kind, name })),
    ],
    unchanged: given.length - written.length,
    effects: effectsOf(stored, after),
    after,
  }
}

/** Per sync that was there before: what of its identity or its mapping differs now. */
function effectsOf(stored: readonly Resource[], after: readonly Resource[]): Effect[] {
  const effects: Effect[] = []
  for (const sync of after.filter(isSync)) {
    const old = stored.filter(isSync).find(({ name }) => name === sync.name)
    if (!old) continue
    const modelOf = (books: readonly Resource[], { spec }: Resource<'Sync'>) =>
      books.filter(isModel).find(({ name }) => name === spec.model)
    const because = identityChanges(old, modelOf(stored, old), sync, modelOf(after, sync))
    const destinationOf = (books: readonly Resource[]) => books.filter(isDestination).find(({ name }) => name === sync.spec.destination)
    const account = because.length > 0 ? [] : accountChanges(destinationOf(stored), destinationOf(after))
    if (because.length > 0) effects.push({ sync: sync.name, effect: 'new_baseline', because })
    else if (!isDeepStrictEqual(old.spec.fields, sync.spec.fields))
      effects.push({ sync: sync.name, effect: 'full_run', because: ['fields'] })
    if (account.length > 0) effects.push({ sync: sync.name, effect: 'other_account', because: account })
  }
  return effects
}

function identityChanges(
  old: Resource<'Sync'>,
  oldModel: Resource<'Model'> | undefined,
  now: Resource<'Sync'>,
  model: Resource<'Model'> | undefined,
): string[] {
  const because: string[] = []
  for (const part of ['destination', 'object', 'match'] as const) if (old.spec[part] !== now.spec[part]) because.push(part)
  if (old.spec.mode !== now.spec.mode && [old.spec.mode, now.spec.mode].includes('insert')) because.push('mode')
  if (oldModel && model && !isDeepStrictEqual(keyColumns(oldModel), keyColumns(model))) because.push('primaryKey')
  return because
}

/** Another address may be another account: the records are believed to be there, but nobody has looked. */
function accountChanges(old: Resource<'Destination'> | undefined, now: Resource<'Destination'> | undefined): string[] {
  if (!old || !now) return []
  if (old.spec.connector !== now.spec.connector) return ['connector']
  const addresses = ['url', 'baseUrl', 'loginUrl', 'accessUrl']
  return addresses.filter((key) => old.spec.config[key] !== now.spec.config[key]).map((key) => `config.${key}`)
}

function keyColumns({ spec }: Resource<'Model'>): readonly string[] {
  return typeof spec.primaryKey === 'string' ? [spec.primaryKey] : spec.primaryKey
}

function isSync(resource: Resource): resource is Resource<'Sync'> {
  return resource.kind === 'Sync'
}

function isModel(resource: Resource): resource is Resource<'Model'> {
  return resource.kind === 'Model'
}

function isDestination(resource: Resource): resource is Resource<'Destination'> {
  return resource.kind === 'Destination'
}

function keyOf({ kind, name }: { readonly kind: Kind; readonly name: string }): string {
  return `${kind} ${name}`
}

function rank(kind: Kind): number {
  return ORDER.indexOf(kind)
}
