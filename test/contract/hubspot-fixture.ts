import type { PlannedRecord } from '../../connectors/contract.ts'
import { hubspot } from '../../connectors/hubspot/index.ts'
import { hubspotStandIn } from '../../connectors/hubspot/stand-in.ts'
import type { DestinationFixture } from './destination-fixture.ts'

export const TOKEN = 'pat-na1-5ecret-token'

/** A planned record as it stands in a batch. */
export function planned(
  id: string,
  n: number,
  fields: Readonly<Record<string, string>>,
  op: 'upsert' | 'delete' = 'upsert',
): PlannedRecord {
  return { id, op, line: JSON.stringify({ id, op, key: String(n), fields }) }
}

function contact(n: number): Record<string, string> {
  return { email: `private-${n}@example.com`, firstname: `private-${n}`, plan: 'pro' }
}

export const hubspotFixture: DestinationFixture = {
  connector: hubspot,
  standIn: () => hubspotStandIn(),
  config: (baseUrl) => ({ accessToken: TOKEN, baseUrl, timeoutSeconds: 1 }),
  secrets: [TOKEN, '5ecret'],
  object: 'contacts',
  match: 'email',
  record: (n) => planned(`version-1-${n}`, n, contact(n)),
  changed: (n) => planned(`version-2-${n}`, n, { ...contact(n), plan: 'enterprise' }),
  bad: (n) => planned(`version-1-${n}`, n, { ...contact(n), plan: `private-${n}-plan` }),
  writes: { method: 'POST', path: '/crm/v3/objects/contacts/batch/upsert' },
  silent: { body: { status: 'COMPLETE', results: [], startedAt: '2026-01-31T12:00:00.000Z' }, means: 'in_doubt' },
  throttles: [
    {
      answer: {
        status: 429,
        body: {
          status: 'error',
          message: 'You have reached your ten_secondly_rolling limit.',
          errorType: 'RATE_LIMIT',
          policyName: 'TEN_SECONDLY_ROLLING',
        },
      },
      waitMs: [10_000, 11_000],
    },
    {
      answer: { status: 429, body: { status: 'error', message: 'You have reached your secondly limit.', category: 'RATE_LIMITS' } },
      waitMs: [1_000, 2_000],
    },
    {
      answer: {
        status: 429,
        body: { status: 'error', message: 'You have reached your daily limit.', errorType: 'RATE_LIMIT', policyName: 'DAILY' },
      },
      waitMs: [1_000, 86_400_000],
    },
    { answer: { status: 429, headers: { 'content-type': 'text/html' }, body: '<html>slow down</html>' }, waitMs: [1_000, 11_000] },
    { answer: { status: 423, body: { status: 'error', message: 'locked' } }, waitMs: [2_000, 10_000] },
    { answer: { status: 477, headers: { 'retry-after': '3600' } }, waitMs: [3_600_000, 3_600_000] },
  ],
  refusal: { status: 400, body: { status: 'error', category: 'VALIDATION_ERROR', message: 'private-1 is wrong' } },
  values: [
    { field: 'email', kind: 'text', text: ' Ada.Lovelace@Example.COM ', stored: '"ada.lovelace@example.com"' },
    { field: 'external_id', kind: 'integer', text: '9223372036854775807', stored: '"9223372036854775807"' },
    {
      field: 'mrr',
      kind: 'decimal',
      text: '12345678901234567890.10000000000000000001',
      stored: '"12345678901234567890.10000000000000000001"',
    },
    { field: 'customer_since', kind: 'timestamptz', text: '2026-01-31T23:59:59.123456Z', stored: '"2026-01-31T23:59:59.123Z"' },
    { field: 'birthday', kind: 'date', text: '1815-12-10', stored: '"1815-12-10"' },
    { field: 'active', kind: 'boolean', text: 'true', stored: '"true"' },
    { field: 'interests', kind: 'array', text: '["music","art"]', stored: '"music;art"' },
    { field: 'notes', kind: 'timestamptz', text: '2026-01-31T23:59:59.123456Z', stored: '"2026-01-31T23:59:59.123456Z"' },
    { field: 'company', kind: 'text', text: 'Zeile\n"\u2028😀', stored: JSON.stringify('Zeile\n"\u2028😀') },
  ],
  recordWith: (fields) =>
    planned('version-1', 1, Object.fromEntries(Object.entries(fields).map(([name, json]) => [name, String(JSON.parse(json))]))),
}
