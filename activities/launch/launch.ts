import { acceptRun, UnknownSyncError } from '../../state/run-requests.ts'
import { effect } from '../failpoints.ts'
import { startRun, type LaunchDeps } from './start-run.ts'

/** What a Schedule does: accepts a run and starts it. Overlap is skipped; the answer, which the web UI shows, says so. Repeatable. */
export async function launchScheduled(deps: LaunchDeps, sync: string): Promise<string> {
  const options = { full: false, verify: false, dryRun: false, adopt: false }
  try {
    const request = { sync, trigger: 'schedule', ...options, onConflict: 'reject' } as const
    const accepted = await effect('accept', () => acceptRun(deps.db, request))
    if (accepted.kind !== 'accepted') return `skipped: run ${accepted.run.id} is active`
    await startRun(deps, accepted.run)
    return `started run ${accepted.run.id}`
  } catch (error) {
    if (error instanceof UnknownSyncError) return `skipped: ${error.message}`
    throw error
  }
}
