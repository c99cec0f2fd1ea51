import { LosslessNumber } from 'lossless-json'
import type pg from 'pg'
import { readJson, type Stored, type System } from './ask.ts'

/** One record as the destination has to hold it: by what it is found there, each field as JSON text, so that every digit counts. */
export interface Wanted {
  readonly key: string
  readonly fields: ReadonlyMap<string, string>
}

/** Written apart from the sync's mapping on purpose: it is what the mapping is checked against. */
const FIELDS: Readonly<Record<System, { readonly key: string; readonly fields: string }>> = {
  hubspot: {
    key: 'email',
    fields: `'email', email, 'firstname', first_name, 'lastname', last_name, 'full_name', first_name || ' ' || last_name,
      'lifecyclestage', 'customer', 'plan', plan, 'mrr', trim_scale(mrr)::text, 'active', active::text,
      'customer_since', to_char(date_trunc('milliseconds', customer_since at time zone 'UTC'), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  },
  salesforce: {
    key: 'id::text',
    fields: `'External_Id__c', id::text, 'Email', email, 'FirstName', first_name, 'LastName', last_name, 'Title', plan || ' customer',
      'Plan__c', plan, 'MRR__c', trim_scale(mrr), 'Active__c', active,
      'Customer_Since__c', to_char(customer_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS".000+0000"')`,
  },
  webhook: {
    key: 'id::text',
    fields: `'email', email, 'first_name', first_name, 'last_name', last_name, 'plan', plan, 'mrr', mrr, 'active', active,
      'customer_since', (to_json(customer_since at time zone 'UTC') #>> '{}') || 'Z'`,
  },
}

/** The warehouse as a destination has to hold it, by customer; rows that have no key, or share one, are left out. */
export async function wantedOf(db: pg.Client, system: System): Promise<Map<string, Wanted>> {
  const { key, fields } = FIELDS[system]
  const { rows } = await db.query<{ id: string; key: string; fields: string }>(
    `select id::text, ${key} as key, jsonb_build_object(${fields})::text as fields
     from (select *, count(*) over (partition by id) as times from analytics.customers) as c where id is not null and times = 1`,
  )
  return new Map(rows.map((row) => [row.id, { key: row.key, fields: exactly(readJson(system, row.fields)) }]))
}

/** With these customers as they were before: their rows cannot be sent, so what the destination holds of them has to stay. */
export function withUnchanged(
  wanted: ReadonlyMap<string, Wanted>,
  before: ReadonlyMap<string, Wanted>,
  ids: readonly string[],
): Map<string, Wanted> {
  const all = new Map(wanted)
  for (const id of ids) {
    const was = before.get(id)
    if (was !== undefined) all.set(id, was)
  }
  return all
}

/** How many records have to be written or removed to get from one to the other. */
export function stepsBetween(before: ReadonlyMap<string, Wanted>, after: ReadonlyMap<string, Wanted>): number {
  const same = [...after].filter(([id, { key, fields }]) => {
    const was = before.get(id)
    return was !== undefined && was.key === key && [...fields].every(([name, value]) => was.fields.get(name) === value)
  })
  const gone = [...before.keys()].filter((id) => !after.has(id))
  return after.size - same.length + gone.length
}

/** What is not as it should be, one line for each record; empty: every record agrees in every mapped field, and there is no other. */
export function differences(wanted: ReadonlyMap<string, Wanted>, held: readonly Stored[], system: System): string[] {
  const found = new Map(held.map((record) => [keyAt(record, system), exactly(record.fields)]))
  const lines: string[] = []
  for (const { key, fields } of wanted.values()) {
    const there = found.get(key)
    found.delete(key)
    if (there === undefined) lines.push(`${key} is missing`)
    else {
      const wrong = [...fields].filter(([name, value]) => there.get(name) !== value)
      if (wrong.length > 0)
        lines.push(`${key}: ${wrong.map(([name, value]) => `${name} is ${there.get(name) ?? 'not there'} instead of ${value}`).join(', ')}`)
    }
  }
  for (const key of found.keys()) lines.push(`${key} should not be there`)
  return lines
}

function keyAt({ key, fields }: Stored, system: System): string {
  const email = fields['email']
  return system === 'hubspot' && typeof email === 'string' ? email : key
}

function exactly(fields: unknown): Map<string, string> {
  const entries: [string, unknown][] = typeof fields === 'object' && fields !== null ? Object.entries(fields) : []
  return new Map(entries.map(([name, value]) => [name, value instanceof LosslessNumber ? value.value : JSON.stringify(value)]))
}
