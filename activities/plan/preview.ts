import { ConnectorError } from '../../connectors/errors.ts'
import { loadSync } from '../../state/configuration.ts'
import { syncState } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import { defineRun } from '../prepare/define.ts'
import { displayKey, removalFields } from './batch.ts'
import { comparePass, openGround, withSnapshot } from './open-pass.ts'
import type { InvalidRow, PlannedRow, PlanSink, RemovalCandidate } from './plan-sink.ts'

export interface PreviewedChange {
  readonly op: 'added' | 'changed' | 'removed'
  readonly outcome: 'planned' | 'invalid'
  readonly key: unknown
  /** JSON text, as the destination would receive it. */
  readonly fields: string
  readonly error: { readonly code: string; readonly field: string | null; readonly message: string } | null
}

/**
 * The first changes a run would send, in key order; stops as soon as it has them and writes nothing. Shared match values are
 * found by a whole plan only, so a dry run is the last word.
 */
export async function previewSync(deps: Deps, sync: string, limit: number, signal: AbortSignal): Promise<{ changes: PreviewedChange[] }> {
  const configuration = await loadSync(deps.db, sync)
  if (!configuration) throw new ConnectorError('config', `there is no sync ${sync}`)
  const { definition, problems, destination } = await defineRun(deps.connections, sync, configuration, signal)
  if (problems.length > 0)
    throw new ConnectorError('config', problems.map((problem) => `${problem.pointer}: ${problem.message}`).join('; '))
  const { source } = await deps.connections.source(definition.source)
  const enough = new AbortController()
  const stop = AbortSignal.any([signal, enough.signal])
  const reading = await source.read({
    query: definition.query,
    key: definition.primaryKey,
    columns: definition.columns.map((c) => c.name),
    signal: stop,
    label: { sync, step: 'preview' },
  })
  const ground = await openGround(definition, reading, destination)
  const known = await syncState(deps.db, sync)
  const fresh = known?.baselineId !== definition.baselineId
  const generation = fresh ? 0 : known.generation
  const sink = new PreviewSink(limit, definition.spec.match)
  try {
    await withSnapshot(deps.db, (client) =>
      comparePass(ground, sink, { client, definition, generation, fresh, full: false }).run(() => sink.changes.length >= limit),
    )
  } finally {
    enough.abort()
  }
  return { changes: sink.changes.slice(0, limit) }
}

class PreviewSink implements PlanSink {
  readonly changes: PreviewedChange[] = []
  readonly full = false
  readonly #limit: number
  readonly #matchField: string | undefined

  constructor(limit: number, matchField: string | undefined) {
    this.#limit = limit
    this.#matchField = matchField
  }

  planned(row: PlannedRow): void {
    this.#add({ op: row.op, outcome: 'planned', key: displayKey(row.keyTexts), fields: row.fields, error: null })
  }

  removal(candidate: RemovalCandidate): void {
    const { counted, keyTexts, match } = candidate
    const fields = removalFields(this.#matchField, match)
    if (counted) this.#add({ op: 'removed', outcome: 'planned', key: displayKey(keyTexts), fields, error: null })
  }

  invalid({ op, keyTexts, code, field, message }: InvalidRow): void {
    this.#add({ op, outcome: 'invalid', key: displayKey(keyTexts), fields: '{}', error: { code, field, message } })
  }

  async drain(): Promise<void> {}

  #add(change: PreviewedChange): void {
    if (this.changes.length < this.#limit) this.changes.push(change)
  }
}
