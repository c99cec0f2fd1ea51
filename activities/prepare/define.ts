import type { Destination, Remark } from '../../connectors/contract.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import type { SyncSpec } from '../../state/spec.ts'
import type { Connections } from '../connections.ts'
import { baselineId, mappingId, usedColumns, type RunDefinition } from '../definition.ts'
import { quietMs } from '../deliver/deliver-batch.ts'
import { templateColumns } from '../plan/template.ts'
import { escapePointer } from '../references.ts'
import { validateSync, type Problem } from './validate.ts'

/**
 * Asks source and destination what they are and puts together what a run goes by. `problems` are what keeps the sync from
 * running; with any of them the definition must not be used; `warnings` do not. Throws ConnectorError when one of the two cannot
 * be asked.
 */
export async function defineRun(
  connections: Connections,
  name: string,
  { sync, model, source, destination }: SyncConfiguration,
  signal: AbortSignal,
): Promise<{ definition: RunDefinition; problems: Problem[]; warnings: Problem[]; destination: Destination }> {
  const from = { name: model.source, connector: source.connector, config: source.config }
  const to = { name: sync.destination, connector: destination.connector, config: destination.config }
  const query = model.table === undefined ? { sql: model.sql ?? '' } : { table: model.table }
  const primaryKey = keyOf(model)
  const opened = await connections.destination(to)
  const all = await (await connections.source(from)).source.describe(query, signal)
  const object = await opened.destination.describe(sync.object ?? '', signal, Object.keys(sync.fields))
  const remarks = await remarksOn(sync, opened.destination, signal)
  const problems = validateSync({ spec: sync, primaryKey, columns: all, object, destination: opened.destination })
  const used = usedColumns(sync, templateColumns)
  const columns = all.filter((column) => used.includes(column.name)).sort((a, b) => (a.name < b.name ? -1 : 1))
  const definition: RunDefinition = {
    sync: name,
    spec: sync,
    source: from,
    destination: to,
    query,
    primaryKey,
    columns,
    fields: object ? object.fields.filter((field) => field.name in sync.fields) : null,
    baselineId: baselineIdOf({ sync, model }),
    mappingId: mappingId({ spec: sync, columns, primaryKey }),
    settleAfterMs: quietMs(opened.destination),
  }
  const said = (level: Remark['level']): Problem[] => remarks.filter((remark) => remark.level === level).map(asProblem)
  return { definition, problems: [...problems, ...said('error')], warnings: said('warning'), destination: opened.destination }
}

/** Who the records of a sync are, as configured; nobody need be asked. */
export function baselineIdOf({ sync, model }: Pick<SyncConfiguration, 'sync' | 'model'>): string {
  return baselineId({ destination: sync.destination, spec: sync, primaryKey: keyOf(model) })
}

const keyOf = ({ primaryKey }: SyncConfiguration['model']): readonly string[] =>
  typeof primaryKey === 'string' ? [primaryKey] : primaryKey

async function remarksOn({ object, mode, match, fields }: SyncSpec, destination: Destination, signal: AbortSignal): Promise<Remark[]> {
  if (object === undefined || destination.review === undefined) return []
  return destination.review({ object, mode, match: match ?? null, fields: Object.keys(fields) }, signal)
}

function asProblem({ about, message }: Remark): Problem {
  return { pointer: typeof about === 'string' ? `/${about}` : `/fields/${escapePointer(about.field)}`, message }
}
