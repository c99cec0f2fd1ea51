import type { QueryHandle } from '../../connectors/source-contract.ts'
import { keepQuery } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import { effect } from '../failpoints.ts'
import { willGoOn } from '../failure.ts'

/** A run's query in a warehouse that keeps results: written into the run, and shown beside the activity's heartbeat. */
export function queryHandle(
  deps: Deps,
  { run, known, signal, show }: { run: string; known: string | null; signal: AbortSignal; show: (query: string | null) => void },
): QueryHandle {
  show(known)
  return {
    known,
    async keep(handle) {
      await effect('query', () => keepQuery(deps.db, run, handle))
      show(handle)
    },
    leave: () => !signal.aborted || willGoOn(signal),
  }
}
