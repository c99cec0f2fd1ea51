import type { Check, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { SalesforceClient } from './client.ts'

/** Logs in and asks for the org's limits. */
export async function checkOrg(client: SalesforceClient, gate: RequestGate): Promise<Check> {
  try {
    const { status } = await client.call({ method: 'GET', path: '/limits', gate, what: 'the limits of the org', writes: false })
    if (status !== 200) return { ok: false, detail: `Salesforce at ${client.host()} answered ${status} to the limits of the org` }
    const usage = client.usage()
    const calls = usage === null ? '' : `; ${usage.used} of ${usage.allowed} daily API calls are used`
    return { ok: true, detail: `Salesforce at ${client.host()} answers and takes the credentials${calls}` }
  } catch (error) {
    if (error instanceof ConnectorError && error.kind !== 'cancelled') return { ok: false, detail: error.message }
    throw error
  }
}
