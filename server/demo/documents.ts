import { MODEL_SQL } from './data.ts'

export const SYNCS = { hubspot: 'customers-to-hubspot', webhook: 'customers-to-webhook' } as const

/**
 * HubSpot gives a private app 190 requests in ten seconds; its stand-in is set to the same. Of that Tailrace uses nine tenths at
 * most, which leaves room for others.
 */
export const HUBSPOT_PER_TEN_SECONDS = 190
const HUBSPOT_REQUESTS_PER_SECOND = 17
export const HUBSPOT_RATE = `at most ${HUBSPOT_REQUESTS_PER_SECOND} requests a second of up to 100 records (limit: ${HUBSPOT_PER_TEN_SECONDS} in 10 s)`

/** The demo's configuration, as files would hold it. `warehouseUrl` is the reference that the worker resolves to the address. */
export function demoDocuments(warehouseUrl: string, sandboxUrl: string): object[] {
  return [
    { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: warehouseUrl } },
    { kind: 'Model', name: 'customers', source: 'warehouse', sql: MODEL_SQL, primaryKey: 'id' },
    {
      kind: 'Destination',
      name: 'crm',
      connector: 'hubspot',
      config: {
        baseUrl: `${sandboxUrl}/hubspot`,
        accessToken: '${env:HUBSPOT_TOKEN}',
        requestsPerSecond: HUBSPOT_REQUESTS_PER_SECOND,
      },
    },
    {
      kind: 'Destination',
      name: 'receiver',
      connector: 'webhook',
      config: { url: `${sandboxUrl}/webhook/customers`, secret: '${env:WEBHOOK_SECRET}', allowPrivateNetwork: true },
    },
    {
      kind: 'Sync',
      name: SYNCS.hubspot,
      model: 'customers',
      destination: 'crm',
      object: 'contacts',
      mode: 'mirror',
      match: 'email',
      fields: {
        email: 'email',
        firstname: 'first_name',
        lastname: 'last_name',
        full_name: { template: '{{ first_name }} {{ last_name }}' },
        lifecyclestage: { value: 'customer' },
        plan: { column: 'plan', ifNull: 'skip' },
        mrr: 'mrr',
        active: 'active',
        customer_since: 'customer_since',
      },
    },
    {
      kind: 'Sync',
      name: SYNCS.webhook,
      model: 'customers',
      destination: 'receiver',
      mode: 'mirror',
      fields: {
        email: 'email',
        first_name: 'first_name',
        last_name: 'last_name',
        plan: 'plan',
        mrr: 'mrr',
        active: 'active',
        customer_since: 'customer_since',
      },
    },
  ]
}
