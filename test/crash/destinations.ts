import type { Fault } from '../../connectors/sandbox/faults.ts'
import type { Stack } from '../harness/stack.ts'
import type { FaultCase } from './faults.ts'

/**
 * The destinations that the matrices go through; a new one is one entry here. Its sync is a mirror of `contacts` (id, email, name)
 * whose match value is the e-mail where it has one; waits are as short as its configuration allows.
 */
export interface CrashDestination {
  /** Of connector and stand-in. */
  readonly slug: string
  readonly config: (stack: Stack) => object
  /** What its sync says besides model and mode. */
  readonly sync: object
  /** Knobs of the stand-in (`POST /_sandbox/settings`). */
  readonly settings?: object
  /** A record's e-mail and name out of what the stand-in stores. */
  readonly stored: (fields: Readonly<Record<string, unknown>>) => readonly [email: string, name: string | null]
  /** A rename is an upsert and a removal, because the match value finds the record. */
  readonly removesRenamed: boolean
  /** What may be asked once more: repeats carry the same id and bytes, the receiver drops them. Else a repeat is a doubled write. */
  readonly atLeastOnce: boolean
  /** Kinds of requests that a run with changes and removals makes, as faults select them. */
  readonly requests: Readonly<Record<string, Pick<Fault, 'method' | 'path'>>>
  /** The kind that the upserts go by. */
  readonly upserts: string
  /** A refusal of a whole request, which is split. */
  readonly refusal: Pick<Fault, 'do' | 'status' | 'body'>
  readonly throttle: Pick<Fault, 'do' | 'status' | 'headers' | 'body'>
  /** One request a batch: no claim is ever renewed. */
  readonly oneRequest: boolean
  /** Bulk jobs, if it has them: configuration that makes changes go by them, and the kinds of requests that they make. */
  readonly jobs?: { readonly config: object; readonly requests: Readonly<Record<string, Pick<Fault, 'method' | 'path'>>> }
  /** Faults that only this vendor knows. */
  readonly faults: Readonly<Record<string, FaultCase>>
}

const QUICK = { timeoutSeconds: 1, lostRequestSeconds: 0 }

const hubspotRefusal = {
  do: 'status',
  status: 400,
  body: { status: 'error', category: 'VALIDATION_ERROR', message: 'one is wrong' },
} as const

const OAUTH = {
  accessToken: undefined,
  oauth: { clientId: 'app', clientSecret: '${env:HUBSPOT_TOKEN}', refreshToken: '${env:HUBSPOT_TOKEN}' },
}

const hubspot: CrashDestination = {
  slug: 'hubspot',
  config: (stack) => ({ baseUrl: `${stack.sandbox.url}/hubspot`, accessToken: '${env:HUBSPOT_TOKEN}', requestsPerSecond: 100, ...QUICK }),
  sync: { object: 'contacts', match: 'email', fields: { email: 'email', firstname: 'name' } },
  settings: { perTenSeconds: 100_000 },
  stored: (fields) => [String(fields['email']), (fields['firstname'] as string | undefined) ?? null],
  removesRenamed: true,
  atLeastOnce: false,
  requests: {
    upsert: { method: 'POST', path: '/crm/v3/objects/contacts/batch/upsert' },
    'look-up': { method: 'POST', path: '/crm/v3/objects/contacts/batch/read' },
    archive: { method: 'POST', path: '/crm/v3/objects/contacts/batch/archive' },
  },
  upserts: 'upsert',
  refusal: hubspotRefusal,
  throttle: { do: 'status', status: 429, headers: { 'retry-after': '1' }, body: { policyName: 'SECONDLY' } },
  oneRequest: false,
  faults: {
    'token expired in mid-run, renewed': {
      fault: { do: 'status', status: 401, body: { category: 'EXPIRED_AUTHENTICATION' } },
      config: OAUTH,
    },
    'token refused': { fault: { do: 'status', status: 401, body: { category: 'INVALID_AUTHENTICATION' } }, ends: ['auth'] },
    'the batch refused as a whole': { fault: hubspotRefusal },
    'locked, 423': { fault: { do: 'status', status: 423 } },
    forbidden: { fault: { do: 'status', status: 403, body: { category: 'MISSING_SCOPES' } }, ends: ['auth'] },
    'account being migrated, 477': { fault: { do: 'status', status: 477, headers: { 'retry-after': '1' } } },
    'limit without Retry-After': {
      fault: { do: 'status', status: 429, body: { category: 'RATE_LIMITS', message: 'You have reached your secondly limit.' } },
    },
  },
}

const salesforceRefusal = {
  do: 'status',
  status: 400,
  body: [{ errorCode: 'JSON_PARSER_ERROR', message: 'one of them is wrong' }],
} as const

const salesforce: CrashDestination = {
  slug: 'salesforce',
  config: (stack) => ({ loginUrl: `${stack.sandbox.url}/salesforce`, clientId: 'app', clientSecret: '${env:HUBSPOT_TOKEN}', ...QUICK }),
  sync: { object: 'Account', match: 'External_Id__c', fields: { External_Id__c: 'email', Name: 'name' } },
  stored: (fields) => [String(fields['External_Id__c']), (fields['Name'] as string | null | undefined) ?? null],
  removesRenamed: true,
  atLeastOnce: false,
  requests: {
    upsert: { method: 'PATCH', path: '/services/data/v66.0/composite/sobjects/Account' },
    'look-up': { method: 'GET', path: '/services/data/v66.0/query' },
    delete: { method: 'DELETE', path: '/services/data/v66.0/composite/sobjects' },
  },
  jobs: {
    // Few enough for the matrix's removals as well.
    config: { bulkFrom: 15 },
    requests: {
      'job, open': { method: 'POST', path: '/services/data/v66.0/jobs/ingest' },
      'job, upload': { method: 'PUT', path: '/services/data/v66.0/jobs/ingest' },
      'job, hand over': { method: 'PATCH', path: '/services/data/v66.0/jobs/ingest' },
      'job, state': { method: 'GET', path: '^/services/data/v66.0/jobs/ingest/[^/]+$' },
      'job, results': { method: 'GET', path: '^/services/data/v66.0/jobs/ingest/[^/]+/[a-z]+Res' },
      'job, forget': { method: 'DELETE', path: '/services/data/v66.0/jobs/ingest' },
    },
  },
  upserts: 'upsert',
  refusal: salesforceRefusal,
  throttle: { do: 'status', status: 429, headers: { 'retry-after': '1' } },
  oneRequest: false,
  faults: {
    // A job's own step that is refused (its hand-over, its state) ends the run.
    'the batch refused as a whole': { fault: salesforceRefusal, ends: ['destination'] },
    'session expired in mid-run, renewed': {
      fault: { do: 'status', status: 401, body: [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired' }] },
    },
    'too many requests at once': {
      fault: {
        do: 'status',
        status: 403,
        body: [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.' }],
      },
    },
    'not permitted': { fault: { do: 'status', status: 403, body: [{ errorCode: 'API_DISABLED_FOR_ORG', message: 'no' }] }, ends: ['auth'] },
  },
}

const webhook: CrashDestination = {
  slug: 'webhook',
  config: (stack) => ({
    url: `${stack.sandbox.url}/webhook/contacts`,
    secret: '${env:WEBHOOK_SECRET}',
    allowPrivateNetwork: true,
    batchSize: 60,
    ...QUICK,
  }),
  sync: { fields: { email: 'email', name: 'name' } },
  stored: (fields) => [String(fields['email']), (fields['name'] as string | null | undefined) ?? null],
  removesRenamed: false,
  atLeastOnce: true,
  requests: { batch: { method: 'POST', path: '/contacts' } },
  upserts: 'batch',
  refusal: { do: 'status', status: 422 },
  throttle: { do: 'status', status: 429, headers: { 'retry-after': '1' } },
  oneRequest: true,
  faults: {
    'the batch refused as a whole': { fault: { do: 'status', status: 422 } },
    'locked, 423': { fault: { do: 'status', status: 423 } },
    forbidden: { fault: { do: 'status', status: 403 }, ends: ['auth'] },
    'asked to wait, 408': { fault: { do: 'status', status: 408 } },
    'asked to wait, 425': { fault: { do: 'status', status: 425 } },
    'signature refused': { fault: { do: 'status', status: 401 }, ends: ['auth'] },
    'closed for good, 410': { fault: { do: 'status', status: 410 }, ends: ['gone'] },
  },
}

export const CRASH_DESTINATIONS: readonly CrashDestination[] = [hubspot, salesforce, webhook]
