import type { SyncProblem } from '../../activities/launch/answer.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import type { Database } from '../../state/database.ts'
import { allResources, changeResources, type StoredResource } from '../../state/resources.ts'
import { Name, type Kind } from '../../state/spec.ts'
import { Problem, type FieldProblem } from '../api/problem.ts'
import { connectFindings, syncsToAsk } from './connect.ts'
import { decide, usersOf, type Decision } from './decide.ts'
import { sizeEffects, type SizedEffect } from './effects.ts'
import type { Finding } from './finding.ts'
import { explain } from './explain.ts'
import type { PlannedChange } from './plan.ts'
import { fieldProblems, inBody, inDocuments, refuseDecision, refuseShape } from './refusal.ts'
import { asResource, readDocuments, specIssues, takeVersion, type Given } from './shape.ts'

export interface ConfigServiceOptions {
  readonly db: Database
  /** Records that the sync's baseline holds; 0 before its first run. */
  readonly baselineSize: (sync: string) => Promise<number>
  /** Asks sources and destinations through a worker; throws Problem when none answers. */
  readonly connectCheck: (syncs: Readonly<Record<string, SyncConfiguration>>) => Promise<readonly SyncProblem[]>
  /** Called after something changed and is committed; must not reject. Workers are notified through the database anyway. */
  readonly onApplied?: () => Promise<void>
}

export interface ConfigRequest {
  readonly documents: readonly unknown[]
  readonly prune?: boolean
  readonly connect?: boolean
}

export interface PlanAnswer {
  readonly changes: readonly PlannedChange[]
  readonly unchanged: number
  readonly effects: readonly SizedEffect[]
  readonly warnings: readonly FieldProblem[]
}

/** What the documents would change; nothing does. Throws Problem with everything that is wrong. */
export async function planDocuments(options: ConfigServiceOptions, request: ConfigRequest): Promise<PlanAnswer> {
  const given = readGiven(request)
  const decision = decide(given, { stored: await allResources(options.db), busySyncs: new Set() }, { prune: request.prune ?? false })
  refuseDecision(decision, inDocuments)
  const asked = await askConnected(options, request, given, decision)
  refuseDecision({ findings: asked, busy: [] }, inDocuments)
  return answer(options, { ...decision, findings: [...decision.findings, ...asked] })
}

/** Makes what is stored what the documents say, all or nothing. Repeatable: the second time nothing changes. Throws Problem. */
export async function applyDocuments(options: ConfigServiceOptions, request: ConfigRequest): Promise<PlanAnswer> {
  // Asking takes its time and must not hold up others; what is stored is looked at again when it counts.
  const asked = request.connect === true ? (await planDocuments(options, request)).warnings : null
  const given = readGiven(request)
  const decision = await changeResources(options.db, (books) => {
    const made = decide(given, books, { prune: request.prune ?? false })
    refuseDecision(made, inDocuments)
    return made
  })
  if (decision.changes.length > 0) await options.onApplied?.()
  const done = await answer(options, decision)
  return { ...done, warnings: asked ?? done.warnings }
}

/** One resource by its content; `expected` judges the stored version, null where there is none. Throws Problem. */
export async function putResource(
  options: ConfigServiceOptions,
  { kind, name, content }: { readonly kind: Kind; readonly name: string; readonly content: unknown },
  expected: (version: number | null) => boolean,
): Promise<{ readonly resource: StoredResource; readonly created: boolean }> {
  const { spec, issues: ofVersion } = takeVersion(content)
  const issues = [...explain(Name, name, {}, '/name'), ...ofVersion, ...specIssues(kind, spec)]
  refuseShape(
    issues.map((issue) => ({ ...issue, level: 'error', kind, name, document: 0 })),
    inBody,
  )
  const resource = asResource(kind, name, spec)
  if (!resource) throw new Problem({ status: 400, code: 'validation', detail: `the body is no ${kind}` })
  const { result, changes } = await changeResources(options.db, (books) => {
    const before = find(books.stored, kind, name)
    refuseVersion(expected(before?.version ?? null), kind, name)
    const decision = decide([{ resource, document: 0 }], books, { prune: false })
    refuseDecision(decision, inBody)
    const version = (before?.version ?? 0) + (decision.changes.length > 0 ? 1 : 0)
    return { changes: decision.changes, result: { resource: { ...resource, version }, created: before === undefined } }
  })
  if (changes.length > 0) await options.onApplied?.()
  return result
}

/** Throws Problem: 404, 412, 409 `in_use` and `run_active`. */
export async function deleteResource(
  options: ConfigServiceOptions,
  { kind, name }: { readonly kind: Kind; readonly name: string },
  expected: (version: number | null) => boolean,
): Promise<void> {
  await changeResources(options.db, ({ stored, busySyncs }) => {
    const before = find(stored, kind, name)
    if (!before) throw notFound(kind, name)
    refuseVersion(expected(before.version), kind, name)
    const users = usersOf({ kind, name }, stored)
    if (users.length > 0) {
      const detail = `the ${kind} "${name}" is used by ${users.map((user) => `${user.kind} ${user.name}`).join(', ')}: delete or change that first`
      throw new Problem({ status: 409, code: 'in_use', detail })
    }
    refuseDecision({ findings: [], busy: kind === 'Sync' && busySyncs.has(name) ? [name] : [] }, inBody)
    return { changes: [{ op: 'delete' as const, kind, name }] }
  })
  await options.onApplied?.()
}

export function notFound(kind: Kind, name: string): Problem {
  return new Problem({ status: 404, code: 'not_found', detail: `there is no ${kind} "${name}"` })
}

function refuseVersion(expected: boolean, kind: Kind, name: string): void {
  if (expected) return
  const detail = `the ${kind} "${name}" is not at the version that If-Match names: read it again and repeat the change on what it is now`
  throw new Problem({ status: 412, code: 'etag', detail })
}

function readGiven({ documents }: ConfigRequest): Given[] {
  const { given, findings } = readDocuments(documents)
  refuseShape(findings, inDocuments)
  return given
}

/** What source and destination have to say, if they are to be asked. */
async function askConnected(
  options: ConfigServiceOptions,
  request: ConfigRequest,
  given: readonly Given[],
  { after }: Decision,
): Promise<Finding[]> {
  const syncs = request.connect === true ? syncsToAsk(given, after) : {}
  if (Object.keys(syncs).length === 0) return []
  return connectFindings(await options.connectCheck(syncs), given, after)
}

async function answer(options: ConfigServiceOptions, { planned, unchanged, effects, findings }: Decision): Promise<PlanAnswer> {
  const sized = await sizeEffects(effects, options.baselineSize)
  return { changes: planned, unchanged, effects: sized, warnings: fieldProblems(findings, 'warning', inDocuments) }
}

function find(stored: readonly StoredResource[], kind: Kind, name: string): StoredResource | undefined {
  return stored.find((resource) => resource.kind === kind && resource.name === name)
}
