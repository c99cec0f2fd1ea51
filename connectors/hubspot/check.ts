import type { Check, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { HubspotClient } from './client.ts'

/** Reaches the account with its credentials, once for the account and once for contacts, whose properties every app may read. */
export async function checkAccount(client: HubspotClient, host: string, gate: RequestGate): Promise<Check> {
  try {
    const account = await client.call({ method: 'GET', path: '/account-info/v3/details', gate, what: 'the account details', writes: false })
    const properties = await client.call({
      method: 'GET',
      path: '/crm/v3/properties/contacts',
      gate,
      what: 'the properties of contacts',
      writes: false,
    })
    const portal = account.body?.['portalId']
    const name = typeof portal === 'number' || typeof portal === 'string' ? `HubSpot account ${portal}` : 'HubSpot'
    if (properties.status !== 200)
      return { ok: false, detail: `${name} at ${host} answered ${properties.status} to the properties of contacts` }
    return { ok: true, detail: `${name} at ${host} answers and takes the credentials` }
  } catch (error) {
    if (error instanceof ConnectorError && error.kind !== 'cancelled') return { ok: false, detail: error.message }
    throw error
  }
}
