import { ConnectorError, ERROR_KINDS } from '../../connectors/errors.ts'
import { jobsLeftBehind } from '../../state/bulk-jobs.ts'
import { loadSync, type SyncConfiguration } from '../../state/configuration.ts'
import { activateRun } from '../../state/fence.ts'
import { freezeDefinition, loadRun, setRunState, syncState, type RunRecord, type SyncState } from '../../state/run-row.ts'
import type { RunDefinition } from '../definition.ts'
import type { Deps } from '../deps.ts'
import { runFailure, superseded } from '../failure.ts'
import { effect } from '../failpoints.ts'
import { durationMs } from '../plan/guards.ts'
import { compactIfDue } from './compact.ts'
import { baselineIdOf, defineRun } from './define.ts'

const DEFAULT_HOLD = '24h'

export interface Prepared {
  readonly inherited: number
  /** Bulk jobs of older runs that may still take effect: they are ended before anything is planned. Absent: none. */
  readonly jobsLeft?: readonly number[]
  readonly full: boolean
  readonly dryRun: boolean
  readonly adopt: boolean
  /** For the web UI. */
  readonly model: string
  readonly destination: string
  readonly holdForMs: number
}

/**
 * Makes the run the sync's active run, closes what older runs left, freezes what it goes by and compacts the baseline if due.
 * Repeatable. Fails with `config` when the sync cannot run as configured.
 */
export async function prepareRun(deps: Deps, run: string, signal: AbortSignal, beat: () => void): Promise<Prepared> {
  const row = await loadRun(deps.db, run)
  if (!row || row.finished) throw superseded()
  const configuration = await loadSync(deps.db, row.sync)
  if (!configuration) throw runFailure('config', `sync ${row.sync} is not configured any more`)
  const kind = row.dryRun ? 'looks' : row.adopt ? 'adopts' : 'delivers'
  const baselineId = (row.definition as RunDefinition | null)?.baselineId ?? baselineIdOf(configuration)
  const activated = await effect('activate', () => activateRun(deps.db, { run, sync: row.sync, kind, baselineId }))
  if (!activated) throw superseded()
  await effect('note-state', () => setRunState(deps.db, run, null, null))
  const known = await syncState(deps.db, row.sync)
  // Frozen once: a retry, a reset or a run that goes on as new must not pick up a configuration that changed meanwhile.
  const definition = (row.definition as RunDefinition | null) ?? (await freeze(deps, row, configuration, known, signal))
  // Where the warehouse compares, its copy has to see the segments first: the plan compacts then.
  const { source } = await deps.connections.source(definition.source)
  if (known && row.plan === null && !source.compareInWarehouse) await compactIfDue(deps, row.sync, known, beat)
  return {
    inherited: activated.inherited,
    jobsLeft: row.dryRun ? [] : await jobsLeftBehind(deps.db, { run, sync: row.sync }),
    full: row.full || isFullByItself(row, definition, known),
    dryRun: row.dryRun,
    adopt: row.adopt,
    model: definition.spec.model,
    destination: definition.destination.name,
    holdForMs: durationMs(definition.spec.guards?.holdFor ?? DEFAULT_HOLD),
  }
}

async function freeze(
  deps: Deps,
  row: RunRecord,
  configuration: SyncConfiguration,
  known: SyncState | null,
  signal: AbortSignal,
): Promise<RunDefinition> {
  const { definition, problems, destination } = await defineRun(deps.connections, row.sync, configuration, signal).catch((error: unknown) =>
    showWaiting(deps, row.id, error),
  )
  if (problems.length > 0) throw runFailure('config', problems.map((problem) => `${problem.pointer}: ${problem.message}`).join('; '))
  if (row.verify && !destination.readBack) {
    throw runFailure('config', `${definition.destination.connector} cannot be read back, so a run cannot verify it`)
  }
  const full = isFullByItself(row, definition, known)
  if (!(await effect('define', () => freezeDefinition(deps.db, row.id, definition, full)))) throw superseded()
  return definition
}

/** Whoever looks at the run sees why it does not begin, until the next try. */
async function showWaiting(deps: Deps, run: string, error: unknown): Promise<never> {
  if (error instanceof ConnectorError && error.kind !== 'cancelled' && ERROR_KINDS[error.kind].end === null) {
    const until = error.retryAfterMs === null ? null : new Date(Date.now() + error.retryAfterMs).toISOString()
    await effect('note-state', () => setRunState(deps.db, run, null, { reason: error.message, until }))
  }
  throw error
}

/** A changed mapping makes every row differ by itself, a new identity starts a new baseline: the run says that it is full. */
function isFullByItself(row: RunRecord, definition: RunDefinition, known: SyncState | null): boolean {
  const moved = (before: string | null | undefined, now: string) => before !== null && before !== undefined && before !== now
  return !row.adopt && (moved(known?.mappingId, definition.mappingId) || moved(known?.baselineId, definition.baselineId))
}
