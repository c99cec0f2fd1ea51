import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import type { InspectRequest } from '../activities/launch/inspect-request.ts'

const { inspect } = proxyActivities<Activities>({
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout: '10s',
  retry: { maximumAttempts: 1 },
})

/** Asks a source or destination on behalf of the API; the answer goes to the state database, never through Temporal. */
export async function inspection(input: { readonly id: string; readonly request: InspectRequest }): Promise<void> {
  await inspect(input)
}
