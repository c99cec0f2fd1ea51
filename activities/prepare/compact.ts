import { baselineSize, compactBaseline, compactionDue } from '../../state/compaction.ts'
import type { Deps } from '../deps.ts'
import { effect, passing } from '../failpoints.ts'

/** Rewrites a baseline that has many layers. Only in a run that holds the sync, before its plan. `beat` is called now and then. */
export async function compactIfDue(
  deps: Deps,
  sync: string,
  known: { generation: number; compactedSeq: number },
  beat: () => void,
): Promise<void> {
  const size = await baselineSize(deps.db, sync, known.generation, known.compactedSeq)
  if (!compactionDue(size)) return
  const client = await deps.db.connect()
  try {
    const written = (): void => {
      passing('in-compaction')
      beat()
    }
    await effect('compact', () => compactBaseline(client, sync, known.generation, written))
  } finally {
    client.release()
  }
}
