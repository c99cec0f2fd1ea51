import { beginDelivery } from '../../state/fence.ts'
import { setRunState } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'

export interface RunNote {
  readonly run: string
  /** Null: as it is. */
  readonly state: string | null
  readonly waiting: { readonly reason: string; readonly until: string | null } | null
}

/** Writes down what the run does or waits for. Where it delivers, what its plan means for the baseline takes effect first. Repeatable. */
export async function noteState(deps: Deps, { run, state, waiting }: RunNote): Promise<void> {
  if (state === 'delivering') await effect('begin', () => beginDelivery(deps.db, run))
  await effect('note-state', () => setRunState(deps.db, run, state, waiting))
}
