import type { PlannedRecord } from '../../connectors/contract.ts'
import { salesforce } from '../../connectors/salesforce/index.ts'
import { salesforceStandIn } from '../../connectors/salesforce/stand-in.ts'
import type { DestinationFixture } from './destination-fixture.ts'

export const CLIENT_SECRET = '5ecret-of-the-app'

type Fields = Readonly<Record<string, string | number | boolean | null>>

/** A planned record as it stands in a batch. */
export function planned(id: string, n: number, fields: Fields, op: 'upsert' | 'delete' = 'upsert'): PlannedRecord {
  return { id, op, line: JSON.stringify({ id, op, key: String(n), fields }) }
}

export function account(n: number): Fields {
  return { External_Id__c: `private-${n}`, Name: `private-${n}`, Plan__c: 'pro', MRR__c: 12.5, Active__c: true }
}

const refused = (errorCode: string, message: string) => [{ message, errorCode }]

export const salesforceFixture: DestinationFixture = {
  connector: salesforce,
  standIn: () => salesforceStandIn(),
  config: (loginUrl) => ({ loginUrl, clientId: 'consumer-key', clientSecret: CLIENT_SECRET, timeoutSeconds: 1 }),
  secrets: [CLIENT_SECRET, '5ecret'],
  object: 'Account',
  match: 'External_Id__c',
  record: (n) => planned(`version-1-${n}`, n, account(n)),
  changed: (n) => planned(`version-2-${n}`, n, { ...account(n), Plan__c: 'enterprise' }),
  bad: (n) => planned(`version-1-${n}`, n, { ...account(n), Plan__c: `private-${n}-plan` }),
  writes: { method: 'PATCH', path: '/services/data/v66.0/composite/sobjects/Account/External_Id__c' },
  logIn: '/services/oauth2/token',
  silent: { body: [], means: 'in_doubt' },
  throttles: [
    { answer: { status: 403, body: refused('REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.') }, waitMs: [60_000, 900_000] },
    {
      answer: { status: 403, body: refused('REQUEST_LIMIT_EXCEEDED', 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.') },
      waitMs: [1_000, 10_000],
    },
    // Not Salesforce's own, but a proxy's.
    { answer: { status: 429, headers: { 'retry-after': '7' }, body: '<html>slow down</html>' }, waitMs: [7_000, 7_000] },
  ],
  refusal: { status: 400, body: refused('JSON_PARSER_ERROR', 'private-1 is wrong') },
  values: [
    { field: 'External_Id__c', kind: 'integer', text: '9223372036854775807', stored: '"9223372036854775807"' },
    { field: 'Name', kind: 'text', text: 'Zeile\n"\u2028😀', stored: JSON.stringify('Zeile\n"\u2028😀') },
    { field: 'MRR__c', kind: 'decimal', text: '1234567890123.10', stored: '1234567890123.1' },
    { field: 'Score__c', kind: 'float', text: '-0.000001', stored: '-0.000001' },
    { field: 'Seats__c', kind: 'integer', text: '-2147483648', stored: '-2147483648' },
    { field: 'Number_Key__c', kind: 'integer', text: '9007199254740991', stored: '9007199254740991' },
    { field: 'Active__c', kind: 'boolean', text: 'true', stored: 'true' },
    { field: 'Customer_Since__c', kind: 'timestamptz', text: '2026-01-31T23:59:59.987654Z', stored: '"2026-01-31T23:59:59.000+0000"' },
    { field: 'Renewal__c', kind: 'date', text: '1815-12-10', stored: '"1815-12-10"' },
    { field: 'Call_At__c', kind: 'other', text: '23:59:59.5', stored: '"23:59:59.500Z"' },
    { field: 'Interests__c', kind: 'array', text: '["music","art"]', stored: '"music;art"' },
    { field: 'Notes__c', kind: 'timestamptz', text: '2026-01-31T23:59:59.123456Z', stored: '"2026-01-31T23:59:59.123456Z"' },
  ],
  recordWith: (fields) =>
    planned('version-1', 1, Object.fromEntries(Object.entries(fields).map(([name, json]) => [name, JSON.parse(json) as string]))),
}
