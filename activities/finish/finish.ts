import { endRunFollowed } from '../../state/run-requests.ts'
import { loadRun } from '../../state/run-row.ts'
import { syncsAfter } from '../../state/configuration.ts'
import type { RunDefinition } from '../definition.ts'
import { noteGone } from '../../state/schedules.ts'
import { pauseSchedule } from '../launch/schedules.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'

export interface FinishInput {
  readonly run: string
  readonly outcome: 'done' | 'failed' | 'cancelled'
  readonly error: { readonly code: string; readonly message: string } | null
  /** Guards that a dry run crossed. */
  readonly holds: readonly string[]
}

/** Ends a run and queues the runs that follow it; the reconcile loop starts them. Repeatable. Gives the state it ended in. */
export async function finishRun(deps: Deps, input: FinishInput): Promise<string> {
  const row = await loadRun(deps.db, input.run)
  if (!row) return 'failed'
  const definition = row.definition as RunDefinition | null
  const waiting = row.dryRun && input.holds.length > 0 ? { reason: input.holds.join('; '), until: null } : null
  const outcome = input.outcome
  if (input.error?.code === 'gone') await pauseSchedule(deps, row.sync, `run ${row.id}: the receiver is gone`)
  else if (outcome === 'done' && !row.dryRun) await noteGone(deps.db, row.sync, false)
  const end = { run: row.id, sync: row.sync, outcome, error: input.error, waiting, mappingId: definition?.mappingId ?? null }
  const followers = outcome === 'done' && !row.dryRun ? await syncsAfter(deps.db, row.sync) : []
  const state = await effect('end', () => endRunFollowed(deps.db, end, followers))
  if (!row.finished)
    deps.journal.ended({ run: row.id, sync: row.sync, state: state ?? outcome, seconds: row.ageSeconds, code: input.error?.code ?? null })
  return state ?? outcome
}
