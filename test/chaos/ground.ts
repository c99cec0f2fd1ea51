import type { CrashDestination } from '../crash/destinations.ts'
import type { Servers } from '../harness/servers.ts'
import type { Run, Stack } from '../harness/stack.ts'
import type { Crew } from './crew.ts'
import type { Config, Row, Step } from './schedule.ts'

/** What the chaos plays with. */
export interface Ground {
  readonly stack: Stack
  readonly servers: Servers
  readonly crew: Crew
  readonly destination: CrashDestination
}

/** No answer, or one that says that something is away, is an answer here. */
export async function ask(
  stack: Stack,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  try {
    return await stack.call(method, path, body)
  } catch (error) {
    return { status: 0, body: { error: error instanceof Error ? error.message : String(error) } }
  }
}

/** The newest runs, newest first; empty also when nobody answers. */
export async function runsOf(stack: Stack, limit = 5): Promise<Run[]> {
  const { status, body } = await ask(stack, 'GET', `/v1/runs?sync=contacts&limit=${limit}`)
  return status === 200 ? (body['data'] as Run[]) : []
}

export const isOpen = ({ state }: Run): boolean => !['succeeded', 'partial', 'failed', 'cancelled'].includes(state)

export async function writeRows(
  { stack }: Pick<Ground, 'stack'>,
  { put, remove }: Pick<Step & { do: 'rows' }, 'put' | 'remove'>,
): Promise<void> {
  const client = await stack.warehouse.connect()
  try {
    await client.query('begin')
    await client.query('delete from contacts where id = any($1::bigint[])', [[...remove, ...put.map(({ id }) => id)]])
    await insertRows(client, put)
    await client.query('commit')
  } finally {
    client.release()
  }
}

async function insertRows(client: { query(text: string, values: unknown[]): Promise<unknown> }, rows: readonly Row[]): Promise<void> {
  await client.query('insert into contacts select * from unnest($1::bigint[], $2::text[], $3::text[])', [
    rows.map(({ id }) => id),
    rows.map(({ email }) => email),
    rows.map(({ name }) => name),
  ])
}

/** How a name is shown at the destination. */
export const shown = ({ prefix }: Config, name: string): string => prefix + name

/** The configuration as documents; a request may take effect for a second after it was given up. */
export function documentsOf(
  { stack, destination }: Pick<Ground, 'stack' | 'destination'>,
  { prefix, maxChanged, batchSize }: Config,
): object[] {
  const config = destination.config(stack)
  const { fields, ...target } = destination.sync as { fields: Record<string, string> }
  const mapped = Object.entries(fields).map(([field, column]) => [
    field,
    column === 'name' && prefix !== '' ? { template: `${prefix}{{ name }}` } : column,
  ])
  return [
    { kind: 'Source', name: 'warehouse', connector: 'postgres', config: { url: '${env:WAREHOUSE_URL}' } },
    { kind: 'Model', name: 'contacts', source: 'warehouse', sql: 'select * from contacts', primaryKey: 'id' },
    {
      kind: 'Destination',
      name: 'target',
      connector: destination.slug,
      config: { ...config, lostRequestSeconds: 1, ...('batchSize' in config ? { batchSize } : {}) },
    },
    {
      kind: 'Sync',
      name: 'contacts',
      model: 'contacts',
      destination: 'target',
      mode: 'mirror',
      guards: { maxRemoved: '100%', maxRejected: '100%', ...(maxChanged === null ? {} : { maxChanged }) },
      ...target,
      fields: Object.fromEntries(mapped) as object,
    },
  ]
}

export async function sandbox(stack: Stack, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${stack.sandbox.url}/_sandbox${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
  return response.json()
}
