import type { Crm } from './ask.ts'
import { MODEL_SQL } from './data.ts'

export const SYNCS = {
  hubspot: 'customers-to-hubspot',
  salesforce: 'customers-to-salesforce',
  webhook: 'customers-to-webhook',
} as const

/**
 * HubSpot gives a private app 190 requests in ten seconds; its stand-in is set to the same. Of that Tailrace uses nine tenths at
 * most, which leaves room for others.
 */
export const HUBSPOT_PER_TEN_SECONDS = 190
const HUBSPOT_REQUESTS_PER_SECOND = 17

/** How fast each is written to, in words. */
export const RATES: Readonly<Record<Crm, string>> = {
  hubspot: `at most ${HUBSPOT_REQUESTS_PER_SECOND} requests a second of up to 100 records (limit: ${HUBSPOT_PER_TEN_SECONDS} in 10 s)`,
  salesforce: 'five requests at once, of up to 200 records each (limit: calls a day)',
}

/** The demo's configuration, as files would hold it. `warehouseUrl` is the reference that the worker resolves to the address. */
export function demoDocuments(crm: Crm, warehouseUrl: string, sandboxUrl: string): object[] {
  return [
    ...(crm === 'hubspot' ? hubspotDocuments(sandboxUrl) : salesforceDocuments(sandboxUrl)),
    { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: warehouseUrl } },
    { kind: 'Model', name: 'customers', source: 'warehouse', sql: MODEL_SQL, primaryKey: 'id' },
    {
      kind: 'Destination',
      name: 'receiver',
      connector: 'webhook',
      config: { url: `${sandboxUrl}/webhook/customers`, secret: '${env:WEBHOOK_SECRET}', allowPrivateNetwork: true },
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

function hubspotDocuments(sandboxUrl: string): object[] {
  return [
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
  ]
}

function salesforceDocuments(sandboxUrl: string): object[] {
  return [
    {
      kind: 'Destination',
      name: 'crm',
      connector: 'salesforce',
      config: { loginUrl: `${sandboxUrl}/salesforce`, clientId: 'demo', clientSecret: '${env:SALESFORCE_SECRET}' },
    },
    {
      kind: 'Sync',
      name: SYNCS.salesforce,
      model: 'customers',
      destination: 'crm',
      object: 'Contact',
      mode: 'mirror',
      match: 'External_Id__c',
      fields: {
        External_Id__c: 'id',
        Email: 'email',
        FirstName: 'first_name',
        LastName: 'last_name',
        Title: { template: '{{ plan }} customer' },
        Plan__c: { column: 'plan', ifNull: 'skip' },
        MRR__c: 'mrr',
        Active__c: 'active',
        Customer_Since__c: 'customer_since',
      },
    },
  ]
}
