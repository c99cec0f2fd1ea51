import { createHash } from 'node:crypto'
import type { Column, FieldDescription, Query } from '../connectors/contract.ts'
import type { SyncSpec } from '../state/spec.ts'
import type { Endpoint } from './connections.ts'

/** What a run goes by, frozen by prepare: a change of the configuration reaches the next run. References stay unresolved. */
export interface RunDefinition {
  readonly sync: string
  readonly spec: SyncSpec
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly query: Query
  readonly primaryKey: readonly string[]
  /** Columns that the sync uses, in name order. */
  readonly columns: readonly Column[]
  /** Descriptions of the mapped destination fields; null where the destination takes any field. */
  readonly fields: readonly FieldDescription[] | null
  /** Who the records are: a new one starts a new baseline generation. */
  readonly baselineId: string
  /** What they are translated to: it salts every fingerprint, so a changed mapping makes every row differ by itself. */
  readonly mappingId: string
  /** After this long a lost request cannot take effect any more; null where nothing can be read back. */
  readonly settleAfterMs: number | null
}

/** Bump when the canonical bytes of a row or the way of hashing them change. */
const FINGERPRINT_VERSION = 1

/** What insert skips is somebody else's: no other mode may take such a baseline for its own and change or remove by it. */
export function baselineId(parts: { destination: string; spec: SyncSpec; primaryKey: readonly string[] }): string {
  const { object, match, mode } = parts.spec
  return digest([parts.destination, object ?? null, match ?? null, parts.primaryKey, ...(mode === 'insert' ? [mode] : [])])
}

export function mappingId(parts: { spec: SyncSpec; columns: readonly Column[]; primaryKey: readonly string[] }): string {
  const fields = Object.entries(parts.spec.fields).sort(([a], [b]) => (a < b ? -1 : 1))
  const columns = parts.columns.map((column) => [column.name, column.kind])
  return digest([FINGERPRINT_VERSION, fields, columns, parts.primaryKey, parts.spec.object ?? null, parts.spec.match ?? null])
}

/** Columns that the mapping reads, in name order. `templateColumns` names those of a template. */
export function usedColumns(spec: SyncSpec, templateColumns: (template: string) => readonly string[]): string[] {
  const used = new Set<string>()
  for (const mapping of Object.values(spec.fields)) {
    if (typeof mapping === 'string') used.add(mapping)
    else if ('column' in mapping) used.add(mapping.column)
    else if ('template' in mapping) for (const column of templateColumns(mapping.template)) used.add(column)
  }
  return [...used].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/** The column that the match field is mapped from, if it is one plain column. */
export function matchColumn(spec: SyncSpec): string | null {
  const mapping = spec.match === undefined ? undefined : spec.fields[spec.match]
  if (mapping === undefined) return null
  if (typeof mapping === 'string') return mapping
  return 'column' in mapping ? mapping.column : null
}

function digest(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}
