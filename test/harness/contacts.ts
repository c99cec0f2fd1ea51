import assert from 'node:assert/strict'
import type { Run, Stack } from './stack.ts'

/** A small model of contacts and a sync of it to one of the sandbox's destinations. */
export interface Contact {
  readonly id: number
  readonly email: string | null
  readonly name: string | null
}

export async function createContacts(stack: Stack, contacts: readonly Contact[]): Promise<void> {
  await stack.warehouse.query('create table contacts (id bigint, email text, name text)')
  await addContacts(stack, contacts)
}

export async function addContacts(stack: Stack, contacts: readonly Contact[]): Promise<void> {
  await stack.warehouse.query('insert into contacts select * from unnest($1::bigint[], $2::text[], $3::text[])', [
    contacts.map((c) => c.id),
    contacts.map((c) => c.email),
    contacts.map((c) => c.name),
  ])
}

export const some = (count: number, name = 'one'): Contact[] =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, email: `person${i + 1}@example.com`, name }))

/** Quick to be sure that a lost request is lost: a second to answer, none after that. */
const QUICK = { timeoutSeconds: 1, lostRequestSeconds: 0 }

export type System = 'hubspot' | 'salesforce' | 'webhook'

/** What each destination calls a contact's e-mail and name. */
const FIELDS = {
  hubspot: { email: 'email', name: 'firstname' },
  salesforce: { email: 'External_Id__c', name: 'LastName' },
  webhook: { email: 'email', name: 'name' },
} as const

export function documents(stack: Stack, destination: System, sync: object = {}, config: object = {}): object[] {
  const hubspot = { baseUrl: `${stack.sandbox.url}/hubspot`, accessToken: '${env:HUBSPOT_TOKEN}', ...QUICK, ...config }
  const webhook = {
    url: `${stack.sandbox.url}/webhook/contacts`,
    secret: '${env:WEBHOOK_SECRET}',
    allowPrivateNetwork: true,
    batchSize: 10,
    ...QUICK,
    ...config,
  }
  const salesforce = {
    loginUrl: `${stack.sandbox.url}/salesforce`,
    clientId: 'consumer-key',
    clientSecret: '${env:SALESFORCE_SECRET}',
    ...QUICK,
    ...config,
  }
  const configs = { hubspot, salesforce, webhook }
  const { email, name } = FIELDS[destination]
  const objects = {
    hubspot: { object: 'contacts', match: email },
    salesforce: { object: 'Contact', match: email },
    webhook: {},
  }
  const target = { ...objects[destination], fields: { [email]: 'email', [name]: 'name' } }
  return [
    { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: '${env:WAREHOUSE_URL}' } },
    { kind: 'Model', name: 'contacts', source: 'warehouse', sql: 'select * from contacts', primaryKey: 'id' },
    { kind: 'Destination', name: 'target', connector: destination, config: configs[destination] },
    {
      kind: 'Sync',
      name: 'contacts',
      model: 'contacts',
      destination: 'target',
      mode: 'mirror',
      guards: { maxRemoved: '100%' },
      ...target,
      ...sync,
    },
  ]
}

/** What the destination holds: names by e-mail in lower case. */
export async function held(stack: Stack, system: System): Promise<Record<string, unknown>> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/records?system=${system}`)
  const { records } = (await response.json()) as { records: { key: string; fields: Record<string, unknown> }[] }
  const byEmail: Record<string, unknown> = {}
  const names = FIELDS[system]
  for (const { fields } of records) byEmail[String(fields[names.email]).toLowerCase()] = fields[names.name] ?? null
  return byEmail
}

/** What it should hold. */
export async function wanted(stack: Stack): Promise<Record<string, unknown>> {
  const { rows } = await stack.warehouse.query<{ email: string; name: string | null }>('select email, name from contacts')
  return Object.fromEntries(rows.map(({ email, name }) => [email.toLowerCase(), name]))
}

interface Totals {
  readonly records: number
  readonly effective: number
  readonly repeated: number
}

export async function report(
  stack: Stack,
  system: System,
): Promise<{ totals: Totals; findings: Record<string, unknown>; held: number; requests: { path: string; count: number }[] }> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/report?writes=none`)
  const body = (await response.json()) as {
    held: number
    requests: { system: string; path: string; count: number }[]
    systems: Record<string, { totals: Totals; findings: Record<string, unknown> }>
  }
  const found = body.systems[system]
  if (!found) throw new Error(`the sandbox has no ${system}`)
  return { ...found, held: body.held, requests: body.requests.filter((r) => r.system === system) }
}

/** Nothing lost, nothing doubled: every record as the warehouse has it, and so many versions took effect, each once. */
export async function exactlyOnce(stack: Stack, system: System, versions: number): Promise<void> {
  assert.deepEqual(await held(stack, system), await wanted(stack))
  const { totals, findings } = await report(stack, system)
  assert.equal(totals.effective, versions)
  if (system === 'webhook') assert.deepEqual(findings['mismatches'], [])
  else assert.equal(totals.repeated, 0)
}

/** What another hand does in the Salesforce org; gives the answer. `path` is after the version. */
export async function elsewhere(stack: Stack, method: string, path: string, body?: object): Promise<unknown> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'another', client_secret: 'another' })
  const session = await fetch(`${stack.sandbox.url}/salesforce/services/oauth2/token`, { method: 'POST', body: form })
  const { access_token: token } = (await session.json()) as { access_token: string }
  const response = await fetch(`${stack.sandbox.url}/salesforce/services/data/v66.0${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  assert.ok(response.ok, text)
  return text === '' ? null : JSON.parse(text)
}

/** Knobs of the sandbox's stand-ins, by slug. */
export async function settings(stack: Stack, change: object): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify(change) })
  if (!response.ok) throw new Error(await response.text())
}

/** Nothing of what was scripted happens any more. */
export async function clearFaults(stack: Stack): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/faults`, { method: 'DELETE' })
}

/** The sandbox, the model and the sync as at the start, with these contacts. */
export async function startAnew(
  stack: Stack,
  destination: System,
  contacts: readonly Contact[],
  sync: object = {},
  config: object = {},
): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/reset`, { method: 'POST' })
  await stack.warehouse.query('drop table if exists contacts')
  await stack.call('DELETE', '/v1/syncs/contacts')
  await createContacts(stack, contacts)
  await stack.apply(documents(stack, destination, sync, config))
}

export async function fault(stack: Stack, ...faults: object[]): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/faults`, { method: 'POST', body: JSON.stringify({ faults }) })
  if (!response.ok) throw new Error(await response.text())
}

/** Waits until the sandbox holds so many requests. */
export async function holding(stack: Stack, count: number): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/held?count=${count}&timeoutSeconds=40`)
  if (!response.ok) throw new Error(`held: ${await response.text()}`)
}

export async function release(stack: Stack): Promise<void> {
  await fetch(`${stack.sandbox.url}/_sandbox/release`, { method: 'POST', body: '{}' })
}

/** Starts a run and gives its id at once. */
export async function accept(stack: Stack, sync = 'contacts'): Promise<string> {
  const { status, body } = await stack.call('POST', `/v1/syncs/${sync}/runs`, {})
  if (status !== 202) throw new Error(`run: ${status} ${JSON.stringify(body)}`)
  return String(body['id'])
}

export const outcome = ({ state, counts, error }: Run): object => ({ state, ...counts, error: error?.code ?? null })
