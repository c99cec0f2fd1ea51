import { baselineSize, compactBaseline, compactionDue } from '../../state/compaction.ts'
import { loadSync } from '../../state/configuration.ts'
import { activateRun } from '../../state/fence.ts'
import { freezeDefinition, loadRun, setRunState, syncState } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import { runFailure, superseded } from '../failure.ts'
import { durationMs } from '../plan/guards.ts'
import { defineRun } from './define.ts'

const DEFAULT_HOLD = '24h'

export interface Prepared {
  readonly inherited: number
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
  const activated = await activateRun(deps.db, { run, sync: row.sync, keepStaleMatches: configuration.sync.mode === 'mirror' })
  if (!activated) throw superseded()
  await setRunState(deps.db, run, null, null)
  const { definition, problems, destination } = await defineRun(deps.connections, row.sync, configuration, signal)
  if (problems.length > 0) throw runFailure('config', problems.map((problem) => `${problem.pointer}: ${problem.message}`).join('; '))
  if (row.verify && !destination.readBack) throw runFailure('config', `${definition.destination.connector} cannot be read back, so a run cannot verify it`)
  const known = await syncState(deps.db, row.sync)
  const moved = (before: string | null | undefined, now: string) => before !== null && before !== undefined && before !== now
  const full = row.full || (!row.adopt && (moved(known?.mappingId, definition.mappingId) || moved(known?.baselineId, definition.baselineId)))
  if (!(await freezeDefinition(deps.db, run, definition, full))) throw superseded()
  if (known) await compactIfDue(deps, row.sync, known, beat)
  return {
    inherited: activated.inherited,
    full,
    dryRun: row.dryRun,
    adopt: row.adopt,
    model: configuration.sync.model,
    destination: configuration.sync.destination,
    holdForMs: durationMs(configuration.sync.guards?.holdFor ?? DEFAULT_HOLD),
  }
}

async function compactIfDue(deps: Deps, sync: string, known: { generation: number; compactedSeq: number }, beat: () => void): Promise<void> {
  const size = await baselineSize(deps.db, sync, known.generation, known.compactedSeq)
  if (!compactionDue(size)) return
  const client = await deps.db.connect()
  try {
    await compactBaseline(client, sync, known.generation, beat)
  } finally {
    client.release()
  }
}
