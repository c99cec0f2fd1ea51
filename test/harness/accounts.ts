import assert from 'node:assert/strict'
import { Client, Connection } from '@temporalio/client'
import { fault, report } from './contacts.ts'
import type { Run, Stack } from './stack.ts'

/** A model of accounts and a sync of it to Salesforce's stand-in, large enough for bulk jobs. */
const FROM = 50

export async function createAccounts(stack: Stack, count: number): Promise<void> {
  await stack.warehouse.query('create table accounts (id bigint primary key, name text, notes text, seats int)')
  await stack.warehouse.query(
    `insert into accounts select n, 'Account ' || n, case when n % 3 = 0 then null else 'line 1' || chr(10) || '"2", ' || n end, n
     from generate_series(1, $1::int) n`,
    [count],
  )
}

/** The environment of a worker that runs these syncs. */
export const SECRETS = { SALESFORCE_SECRET: '5ecret-of-the-app' }

export function documents(stack: Stack, sync: object = {}, config: object = {}): object[] {
  return [
    { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: '${env:WAREHOUSE_URL}' } },
    { kind: 'Model', name: 'accounts', source: 'warehouse', sql: 'select * from accounts', primaryKey: 'id' },
    {
      kind: 'Destination',
      name: 'crm',
      connector: 'salesforce',
      config: {
        loginUrl: `${stack.sandbox.url}/salesforce`,
        clientId: 'consumer-key',
        clientSecret: '${env:SALESFORCE_SECRET}',
        bulkFrom: FROM,
        timeoutSeconds: 1,
        lostRequestSeconds: 0,
        ...config,
      },
    },
    {
      kind: 'Sync',
      name: 'accounts',
      model: 'accounts',
      destination: 'crm',
      object: 'Account',
      mode: 'mirror',
      match: 'External_Id__c',
      guards: { maxRemoved: '100%' },
      fields: { External_Id__c: 'id', Name: 'name', Notes__c: 'notes', Seats__c: 'seats' },
      ...sync,
    },
  ]
}

type Row = readonly [string, string, string | null, number | null]

/** What Salesforce holds, by external id. */
export async function held(stack: Stack): Promise<Row[]> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/records?system=salesforce&object=Account`)
  const { records } = (await response.json()) as { records: { fields: Record<string, string | number | null> }[] }
  return records
    .map(({ fields }): Row => {
      const { External_Id__c: id, Name: name, Notes__c: notes, Seats__c: seats } = fields
      return [
        String(id),
        String(name),
        notes === undefined || notes === null ? null : String(notes),
        seats === undefined ? null : Number(seats),
      ]
    })
    .sort(([a], [b]) => Number(a) - Number(b))
}

/** What it should hold. */
export async function wanted(stack: Stack): Promise<Row[]> {
  const { rows } = await stack.warehouse.query<{ id: number; name: string; notes: string | null; seats: number }>(
    'select * from accounts order by id',
  )
  return rows.map(({ id, name, notes, seats }) => [String(id), name, notes, seats])
}

export const uploads = async (stack: Stack): Promise<unknown> => (await report(stack, 'salesforce')).findings['bulkUploads']

/** Jobs that are still there, by state. */
export const jobs = async (stack: Stack): Promise<unknown> => (await report(stack, 'salesforce')).findings['bulkJobs']

export async function settings(stack: Stack, salesforce: object): Promise<void> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox/settings`, { method: 'POST', body: JSON.stringify({ salesforce }) })
  if (!response.ok) throw new Error(await response.text())
}

/** A fault at one of the requests of a bulk job. */
export const REQUESTS = {
  create: { on: 'salesforce', method: 'POST', path: 'jobs/ingest$' },
  upload: { on: 'salesforce', method: 'PUT', path: 'jobs/ingest/[^/]+/batches' },
  close: { on: 'salesforce', method: 'PATCH', path: 'jobs/ingest/[^/]+$' },
  state: { on: 'salesforce', method: 'GET', path: 'jobs/ingest/[^/]+$' },
  successes: { on: 'salesforce', method: 'GET', path: 'successfulResults' },
  failures: { on: 'salesforce', method: 'GET', path: 'failedResults' },
  unprocessed: { on: 'salesforce', method: 'GET', path: 'unprocessedrecords' },
  discard: { on: 'salesforce', method: 'DELETE', path: 'jobs/ingest/[^/]+$' },
} as const

export const strike = (stack: Stack, request: keyof typeof REQUESTS, how: object): Promise<void> =>
  fault(stack, { ...REQUESTS[request], ...how })

/** Nothing lost, nothing doubled, and no job left behind. */
export async function exactlyOnce(stack: Stack, versions: number): Promise<void> {
  assert.deepEqual(await held(stack), await wanted(stack))
  const { totals } = await report(stack, 'salesforce')
  assert.deepEqual([totals.effective, totals.repeated], [versions, 0])
  assert.deepEqual(await jobs(stack), {})
}

export function succeeded(run: Run, counts: Record<string, number>): void {
  const seen = Object.fromEntries(Object.keys(counts).map((name) => [name, run.counts[name]]))
  assert.deepEqual([run.state, seen, run.counts['inDoubt']], ['succeeded', counts, 0], JSON.stringify(run))
}

/** Waits until the stand-in's jobs are in these states. */
export async function reached(stack: Stack, states: Record<string, number>): Promise<void> {
  const limit = performance.now() + 60_000
  for (;;) {
    const now = await jobs(stack)
    if (JSON.stringify(now) === JSON.stringify(states)) return
    if (performance.now() > limit) {
      const { body } = await stack.call('GET', '/v1/runs')
      throw new Error(`jobs are ${JSON.stringify(now)}: ${JSON.stringify(body)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export async function withWorkflow<T>(
  stack: Stack,
  work: (workflow: ReturnType<Client['workflow']['getHandle']>) => Promise<T>,
  runId?: string,
): Promise<T> {
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    return await work(new Client({ connection, namespace: stack.namespace }).workflow.getHandle('sync/accounts', runId))
  } finally {
    await connection.close()
  }
}
