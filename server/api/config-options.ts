import Type from 'typebox'
import Value from 'typebox/value'
import { withSnapshot } from '../../activities/plan/open-pass.ts'
import { BaselineReader } from '../../state/baseline.ts'
import type { Database } from '../../state/database.ts'
import { syncState } from '../../state/run-row.ts'
import { requireScope } from './access.ts'
import type { ConfigRoutesOptions } from './config-routes.ts'
import type { ApiDeps } from './deps.ts'

const SyncProblems = Type.Array(
  Type.Object({ level: Type.Enum(['error', 'warning']), sync: Type.String(), pointer: Type.String(), message: Type.String() }),
)

/** What the configuration's routes need of the rest. */
export function configOptions({ db, inspect }: Pick<ApiDeps, 'db' | 'inspect'>): ConfigRoutesOptions {
  return {
    db,
    requireScope,
    baselineSize: (sync) => countBaseline(db, sync),
    async connectCheck(syncs) {
      const answer = await inspect({ kind: 'sync-check' }, syncs)
      if (!Value.Check(SyncProblems, answer)) throw new Error('a worker answered sync-check in an unknown shape')
      return answer
    },
  }
}

/** Keys that the destination acknowledged and that were not removed since. Reads the baseline through, about a second a million. */
async function countBaseline(db: Database, sync: string): Promise<number> {
  const known = await syncState(db, sync)
  if (!known) return 0
  return withSnapshot(db, async (client) => {
    const reader = new BaselineReader(client, { sync, generation: known.generation, cursorName: 'baseline_count' })
    let count = 0
    while (await reader.next()) count++
    return count
  })
}
