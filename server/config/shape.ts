import { sourceConnector, destinationConnector, sources, destinations } from '../../connectors/registry.ts'
import type { DestinationConnector } from '../../connectors/contract.ts'
import type { SourceConnector } from '../../connectors/source-contract.ts'
import type { Resource } from '../../state/resources.ts'
import { Name, SPECS, type ConnectorSpec, type Kind, type ModelSpec, type NotificationSpec, type SyncSpec } from '../../state/spec.ts'
import { explain, validatorOf } from './explain.ts'
import type { Finding, Issue } from './finding.ts'
import { didYouMean } from './nearest.ts'
import { configSecretIssues, notificationSecretIssues } from './secret-rules.ts'

export const KINDS = ['Source', 'Model', 'Destination', 'Sync', 'Notification'] as const satisfies readonly Kind[]

/** A resource and its place among the given documents. */
export interface Given {
  readonly resource: Resource
  readonly document: number
}

const isName = validatorOf<string>(Name)
const isConnector = validatorOf<ConnectorSpec>(SPECS.Source)
const isModel = validatorOf<ModelSpec>(SPECS.Model)
const isSync = validatorOf<SyncSpec>(SPECS.Sync)
const isNotification = validatorOf<NotificationSpec>(SPECS.Notification)

/**
 * Documents of unknown content as resources, with everything that can be said of each by itself: shape, connector and its
 * configuration, secrets in the clear, kind and name used twice. A document with a finding gives no resource. Pure.
 */
export function readDocuments(documents: readonly unknown[]): { readonly given: Given[]; readonly findings: Finding[] } {
  const given: Given[] = []
  const findings: Finding[] = []
  const seen = new Map<string, number>()
  for (const [document, input] of documents.entries()) {
    const { kind, name, issues, resource } = readDocument(input)
    findings.push(...issues.map((issue) => ({ ...issue, level: 'error' as const, kind, name, document })))
    if (kind === null || name === null) continue
    const first = seen.get(`${kind} ${name}`)
    if (first === undefined) seen.set(`${kind} ${name}`, document)
    else
      findings.push({
        level: 'error',
        kind,
        name,
        document,
        pointer: '/name',
        message: `there are two documents of kind ${kind} with the name "${name}"`,
      })
    if (resource && first === undefined) given.push({ resource, document })
  }
  return { given, findings }
}

interface Read {
  readonly kind: Kind | null
  readonly name: string | null
  readonly issues: readonly Issue[]
  readonly resource: Resource | null
}

function readDocument(input: unknown): Read {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { kind: null, name: null, issues: [{ pointer: '', message: 'a document must be a mapping with kind and name' }], resource: null }
  }
  const { kind: kindText, name, ...content }: Record<string, unknown> = { ...input }
  const { spec, issues: ofVersion } = takeVersion(content)
  const kind = KINDS.find((known) => known === kindText) ?? null
  const issues: Issue[] = []
  if (kindText === undefined) issues.push({ pointer: '', message: `"kind" is missing; it is one of ${KINDS.join(', ')}` })
  else if (kind === null)
    issues.push({
      pointer: '/kind',
      message: `unknown kind; it is one of ${KINDS.join(', ')}${typeof kindText === 'string' ? didYouMean(kindText, KINDS) : ''}`,
    })
  if (name === undefined) issues.push({ pointer: '', message: '"name" is missing' })
  else issues.push(...explain(Name, name, {}, '/name'))
  issues.push(...ofVersion)
  if (kind !== null) issues.push(...specIssues(kind, spec))
  const readName = isName(name) ? name : null
  const resource = kind !== null && readName !== null && issues.length === 0 ? asResource(kind, readName, spec) : null
  return { kind, name: readName, issues, resource }
}

/** A document's content (all but `kind` and `name`) without `version`, which may stand in it. Pure. */
export function takeVersion(content: unknown): { readonly spec: unknown; readonly issues: readonly Issue[] } {
  if (typeof content !== 'object' || content === null || !('version' in content)) return { spec: content, issues: [] }
  const { version, ...spec } = content
  return { spec, issues: version === 1 ? [] : [{ pointer: '/version', message: 'must be 1, the only version there is' }] }
}

/** What is wrong with a resource's content by itself: the document without `kind`, `name` and `version`. Pure. */
export function specIssues(kind: Kind, spec: unknown): Issue[] {
  const issues = explain(SPECS[kind], spec, kind === 'Model' ? { unknownKeys: CLI_FORMS } : {})
  if ((kind === 'Source' || kind === 'Destination') && isConnector(spec)) issues.push(...connectorIssues(kind, spec))
  if (kind === 'Notification' && isNotification(spec)) issues.push(...notificationSecretIssues(spec))
  if (kind === 'Model' && isModel(spec)) issues.push(...modelIssues(spec))
  return issues
}

const CLI_FORMS = {
  sqlFile: 'sqlFile is read by the CLI; send the content of the file as "sql"',
  dbt: 'dbt is resolved by the CLI; send the relation as "table"',
}

function connectorIssues(kind: 'Source' | 'Destination', spec: ConnectorSpec): Issue[] {
  const known: ReadonlyMap<string, SourceConnector | DestinationConnector> = kind === 'Source' ? sources : destinations
  if (!known.has(spec.connector)) {
    const other = kind === 'Source' ? destinations : sources
    const role = other.has(spec.connector) ? ` (it is one of a ${kind === 'Source' ? 'Destination' : 'Source'})` : ''
    const message = `there is no connector "${spec.connector}" for a ${kind}${role}; there are ${[...known.keys()].join(', ')}${didYouMean(spec.connector, known.keys())}`
    return [{ pointer: '/connector', message }]
  }
  const connector = kind === 'Source' ? sourceConnector(spec.connector) : destinationConnector(spec.connector)
  return [...explain(connector.config, spec.config, { references: true }, '/config'), ...configSecretIssues(connector, spec.config)]
}

function modelIssues(spec: ModelSpec): Issue[] {
  const issues: Issue[] = []
  if (spec.sql === undefined && spec.table === undefined)
    issues.push({ pointer: '', message: 'says nowhere what to read: give one of sql and table' })
  if (spec.sql !== undefined && spec.table !== undefined)
    issues.push({ pointer: '/table', message: 'has "sql" and "table"; only one of them is allowed' })
  if (spec.dbtModel !== undefined && spec.table === undefined)
    issues.push({ pointer: '/dbtModel', message: 'names the dbt model that builds "table"; give that as well' })
  const key = Array.isArray(spec.primaryKey) ? spec.primaryKey : [spec.primaryKey]
  const twice = key.find((column, index) => key.indexOf(column) !== index)
  if (twice !== undefined) issues.push({ pointer: '/primaryKey', message: `names the column ${twice} twice` })
  return issues
}

/** Null where the content is not of that kind. */
export function asResource(kind: Kind, name: string, spec: unknown): Resource | null {
  switch (kind) {
    case 'Source':
    case 'Destination':
      return isConnector(spec) ? { kind, name, spec } : null
    case 'Model':
      return isModel(spec) ? { kind, name, spec } : null
    case 'Sync':
      return isSync(spec) ? { kind, name, spec } : null
    case 'Notification':
      return isNotification(spec) ? { kind, name, spec } : null
  }
}
