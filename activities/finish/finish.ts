import { endRun, loadRun } from '../../state/run-row.ts'
import { acceptRun } from '../../state/run-requests.ts'
import { syncsAfter } from '../../state/configuration.ts'
import type { RunDefinition } from '../definition.ts'
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

/** Ends a run and accepts the runs that wait for it; the reconcile loop starts them. Repeatable. Gives the state it ended in. */
export async function finishRun(deps: Deps, input: FinishInput): Promise<string> {
  const row = await loadRun(deps.db, input.run)
  if (!row) return 'failed'
  const definition = row.definition as RunDefinition | null
  const waiting = row.dryRun && input.holds.length > 0 ? { reason: input.holds.join('; '), until: null } : null
  const outcome = input.outcome
  if (input.error?.code === 'gone') await pauseSchedule(deps, row.sync, `run ${row.id}: the receiver is gone`)
  const state = await effect('end', () =>
    endRun(deps.db, {
      run: input.run,
      sync: row.sync,
      outcome,
      error: input.error,
      waiting,
      mappingId: definition?.mappingId ?? null,
    }),
  )
  if (!row.finished)
    deps.journal.ended({ run: row.id, sync: row.sync, state: state ?? outcome, seconds: row.ageSeconds, code: input.error?.code ?? null })
  if (!row.dryRun && !row.finished && outcome === 'done') {
    for (const sync of await syncsAfter(deps.db, row.sync)) {
      const request = { sync, trigger: 'after', full: false, verify: false, dryRun: false, adopt: false, onConflict: 'queue' } as const
      await effect('accept', () => acceptRun(deps.db, request))
    }
  }
  return state ?? outcome
}
