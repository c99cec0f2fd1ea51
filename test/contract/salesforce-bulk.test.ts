import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import jsforce from 'jsforce'
import type { BulkLoader, BulkRequest, PlannedRecord } from '../../connectors/contract.ts'
import { openGate } from '../../connectors/http.ts'
import { salesforce } from '../../connectors/salesforce/index.ts'
import { salesforceStandIn } from '../../connectors/salesforce/stand-in.ts'
import { createSandbox } from '../../connectors/sandbox/sandbox.ts'
import type { StandIn } from '../../connectors/sandbox/stand-in.ts'

/** Bulk API 2.0 at the stand-in: by the vendor's own client, by plain requests, and by the connector. */
const DAY = 86_400_000

const fieldsOf = (record: { readonly fields: unknown } | undefined): Record<string, unknown> => ({ ...(record?.fields as object) })

describe('salesforce bulk', { timeout: 120_000 }, () => {
  let ageMs = 0
  const standIn: StandIn = salesforceStandIn({ now: () => Date.now() - ageMs })
  const sandbox = createSandbox({ standIns: [standIn] })
  let url = ''
  let token = ''
  let bulk: BulkLoader
  let close: () => Promise<void>
  const gate = openGate(new AbortController().signal)

  before(async () => {
    url = (await sandbox.listen(0)).url
  })
  after(() => sandbox.close())
  beforeEach(async () => {
    ageMs = 0
    standIn.reset()
    standIn.configure?.({ bulkQueueMs: 0, bulkProcessMs: 0 })
    const answer = await fetch(`${url}/salesforce/services/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'c', client_secret: 's' }),
    })
    token = ((await answer.json()) as { access_token: string }).access_token
    const destination = salesforce.open({ loginUrl: `${url}/salesforce`, clientId: 'c', clientSecret: 's' })
    assert.ok(destination.bulk)
    bulk = destination.bulk
    close = () => destination.close()
  })

  const call = async (method: string, path: string, body?: string, type = 'application/json') => {
    const response = await fetch(`${url}/salesforce/services/data/v66.0/jobs/ingest${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    return { status: response.status, text, json: /^[[{]/.test(text) ? (JSON.parse(text) as Record<string, unknown>) : {} }
  }
  const code = ({ status, text }: { status: number; text: string }) => `${status} ${/"errorCode":"(\w+)"/.exec(text)?.[1] ?? ''}`

  async function open(operation = 'upsert', object = 'Account'): Promise<string> {
    const job = await call('POST', '', JSON.stringify({ object, operation, externalIdFieldName: 'External_Id__c', contentType: 'CSV' }))
    assert.equal(job.json['state'], 'Open', job.text)
    return String(job.json['id'])
  }
  async function load(csv: string, operation = 'upsert'): Promise<Record<string, unknown>> {
    const id = await open(operation)
    assert.equal((await call('PUT', `/${id}/batches`, csv, 'text/csv')).status, 201)
    assert.equal((await call('PATCH', `/${id}`, '{"state":"UploadComplete"}')).status, 200)
    return (await call('GET', `/${id}`)).json
  }

  it('the vendor’s client takes a job from its creation to its results', async () => {
    const connection = new jsforce.Connection({ instanceUrl: `${url}/salesforce`, accessToken: token, version: '66.0' })
    const wanted = { object: 'Account', operation: 'upsert', externalIdFieldName: 'External_Id__c', lineEnding: 'LF' } as const
    const job = connection.bulk2.createJob(wanted)
    await job.open()
    await job.uploadData('External_Id__c,Name,MRR__c\nA-1,"Ada, ""A""",12345678.5\nA-2,,1\n')
    await job.close()
    await job.poll(10, 10_000)
    const successes = await job.getSuccessfulResults()
    assert.deepEqual(
      successes.map(({ sf__Id, ...row }) => [sf__Id.slice(0, 3), ...Object.values<unknown>(row)]),
      [['001', 'true', 'A-1', 'Ada, "A"', '1.23456785E7']],
      'numbers come back written anew',
    )
    const failures = await job.getFailedResults()
    assert.match(failures[0]?.sf__Error ?? '', /^REQUIRED_FIELD_MISSING:Required fields are missing: \[Name\]:Name --$/)
    assert.deepEqual(await job.getUnprocessedRecords(), [])
    await job.delete()
    assert.equal(code(await call('GET', `/${job.id}`)), '404 NOT_FOUND')
  })

  it('a CSV that is not as it must be fails the whole job, and nothing is written', async () => {
    const rows = 'A-1,Ada\n'
    const failures: [string, RegExp][] = [
      [`\u{feff}External_Id__c,Name\n${rows}`, /Field name not found : \u{feff}External_Id__c/u],
      [`External_Id__c,Nothing__c\n${rows}`, /Field name not found : Nothing__c/],
      [`External_Id__c,Name\r\nA-1,Ada\r\n`, /LineEnding is invalid on user data. Current LineEnding setting is LF/],
      [`External_Id__c,Name\nA-1,"a\r\nb"\n`, /LineEnding is invalid/],
      [`External_Id__c,Account:Parent.External_Id__c\n${rows}`, /Field name not found/],
    ]
    for (const [csv, message] of failures) {
      const job = await load(csv)
      assert.equal(job['state'], 'Failed')
      assert.match(String(job['errorMessage']), message)
    }
    assert.equal(standIn.report().totals.records, 0)
  })

  it('an empty cell leaves a field, #N/A clears it; a repeated key fails every row of it', async () => {
    await load('External_Id__c,Name,Website\nA-1,Ada,https://a.example\n')
    await load('External_Id__c,Name,Website\nA-1,,\nB,b,\nb,c,\n')
    const [record, ...others] = standIn.records('Account')
    assert.deepEqual([others.length, fieldsOf(record)['Website']], [0, 'https://a.example'])
    await load('External_Id__c,Website\na-1,#N/A\n')
    assert.equal('Website' in fieldsOf(standIn.records('Account')[0]), false)
  })

  it('one upload a job, and only while it is open; states and results as documented', async () => {
    const id = await open()
    const put = () => call('PUT', `/${id}/batches`, 'External_Id__c,Name\nA-1,Ada\n', 'text/csv')
    const patch = (state: string) => call('PATCH', `/${id}`, JSON.stringify({ state }))
    assert.equal((await put()).status, 201)
    const again = await put()
    assert.match(`${code(again)} ${again.text}`, /400 .*Found multiple contents for job/)
    assert.equal(code(await call('DELETE', `/${id}`)), '400 INVALIDJOBSTATE')
    assert.equal(code(await call('GET', `/${id}/successfulResults/`)), '400 INVALIDJOBSTATE')
    assert.equal((await patch('UploadComplete')).status, 200)
    assert.equal(code(await patch('UploadComplete')), '400 INVALIDJOBSTATE')
    assert.equal(code(await put()), '400 INVALIDJOBSTATE')
    assert.equal((await call('GET', `/${id}`)).json['state'], 'JobComplete')
    assert.equal(code(await patch('Aborted')), '400 INVALIDJOBSTATE')
    assert.equal((await call('DELETE', `/${id}`)).status, 204)
    assert.equal(code(await call('GET', `/${id}/successfulResults/`)), '404 NOT_FOUND')
  })

  // ---- the connector ----

  const REQUEST: BulkRequest = {
    object: 'Contact',
    mode: 'upsert',
    match: 'External_Id__c',
    op: 'upsert',
    fields: ['External_Id__c', 'LastName', 'Account.External_Id__c'],
  }
  const contact = (n: number, fields: object): PlannedRecord => ({
    id: `v${n}`,
    op: 'upsert',
    line: JSON.stringify({ id: `v${n}`, op: 'upsert', key: String(n), fields: { External_Id__c: `C-${n}`, LastName: 'L', ...fields } }),
  })
  async function* pagesOf(...pages: readonly PlannedRecord[][]): AsyncGenerator<PlannedRecord[]> {
    for (const page of pages) yield await Promise.resolve(page)
  }
  async function run(records: PlannedRecord[], request = REQUEST): Promise<string> {
    const job = await bulk.open(request, records.length, gate)
    await bulk.upload(job, request, () => pagesOf(records), gate)
    await bulk.close(job, gate)
    return job
  }

  it('children of one parent lie side by side, so that they do not lock each other out', async () => {
    const parents = Array.from({ length: 5 }, (_, p) => `P-${p}`)
    await load(`External_Id__c,Name\n${parents.map((parent) => `${parent},p`).join('\n')}\n`)
    standIn.configure?.({ bulkLocks: true, bulkBatchRows: 10 })
    const children = Array.from({ length: 50 }, (_, n) => contact(n, { 'Account.External_Id__c': parents[n % 5] }))
    const job = await run(children)
    assert.deepEqual(await bulk.state(job, gate), { state: 'ended', error: null })
    const outcomes = await (await bulk.results(job, REQUEST, gate)).outcomes(children, gate)
    assert.deepEqual([outcomes.length, new Set(outcomes.map(({ status }) => status))], [50, new Set(['delivered'])])
    // Uploaded as they come they do: the stand-in can fail.
    const unsorted = `External_Id__c,LastName,Account.External_Id__c\n${children.map((_, n) => `D-${n},L,${parents[n % 5]}`).join('\n')}\n`
    const id = await open('upsert', 'Contact')
    await call('PUT', `/${id}/batches`, unsorted, 'text/csv')
    await call('PATCH', `/${id}`, '{"state":"UploadComplete"}')
    assert.match((await call('GET', `/${id}/failedResults/`)).text, /UNABLE_TO_LOCK_ROW/)
    await close()
  })

  it('a session that ends before the upload is renewed, and the stream begun anew', async () => {
    const job = await bulk.open(REQUEST, 2, gate)
    standIn.configure?.({ requestsPerSession: 0 })
    let walks = 0
    const pages = () => {
      if (++walks === 2) standIn.configure?.({ requestsPerSession: null })
      return pagesOf([contact(1, {})], [contact(2, {})])
    }
    standIn.configure?.({ requestsPerSession: 3 })
    await bulk.upload(job, REQUEST, pages, gate)
    await bulk.close(job, gate)
    assert.equal((await bulk.state(job, gate)).state, 'ended')
    assert.equal(standIn.records('Contact').length, 2)
    await close()
  })

  it('steps may be repeated: close, abort and discard of a job that is past them, or gone', async () => {
    const job = await run([contact(1, {})])
    await bulk.close(job, gate)
    await bulk.abort(job, gate)
    await bulk.discard(job, gate)
    await bulk.discard(job, gate)
    await bulk.abort(job, gate)
    assert.equal((await bulk.state(job, gate)).state, 'ended')
    await close()
  })

  it('a page of a proxy, or nothing, in the place of an answer: no end of the run, and no start that never was', async () => {
    const job = await bulk.open(REQUEST, 1, gate)
    await bulk.upload(job, REQUEST, () => pagesOf([contact(1, {})]), gate)
    const instead = async (fault: object) => {
      const faults = [{ on: 'salesforce', path: '/services/data/v66.0/jobs/ingest', status: 200, ...fault }]
      const headers = { 'content-type': 'application/json' }
      assert.equal((await fetch(`${url}/_sandbox/faults`, { method: 'POST', headers, body: JSON.stringify({ faults }) })).ok, true)
    }
    await instead({ do: 'html' })
    await assert.rejects(bulk.state(job, gate), { kind: 'unreachable' })
    await instead({ do: 'html' })
    await assert.rejects(bulk.close(job, gate), { kind: 'in_doubt' })
    await instead({ do: 'status', body: {} })
    await assert.rejects(bulk.close(job, gate), { kind: 'in_doubt' })
    assert.deepEqual(await bulk.state(job, gate), { state: 'open' })
    await bulk.close(job, gate)
    assert.notEqual((await bulk.state(job, gate)).state, 'open')
    await close()
  })

  it('an empty job is swept if it is ours, a day old and in no ledger; nothing else is', async () => {
    const mine = await bulk.open(REQUEST, 1, gate)
    const known = await bulk.open(REQUEST, 1, gate)
    const other = await open('upsert', 'Account')
    const full = await run([contact(1, {})])
    standIn.configure?.({ bulkPageSize: 1 })
    const ledger = (ids: readonly string[]) => Promise.resolve(new Set(ids.filter((id) => id === known)))
    await bulk.sweep('Contact', ledger, gate)
    assert.equal((await call('GET', `/${mine}`)).status, 200, 'too young')
    await close()

    ageMs = 2 * DAY
    standIn.reset()
    const later = salesforce.open({ loginUrl: `${url}/salesforce`, clientId: 'c', clientSecret: 's' })
    const answer = await fetch(`${url}/salesforce/services/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'c', client_secret: 's' }),
    })
    token = ((await answer.json()) as { access_token: string }).access_token
    assert.ok(later.bulk)
    const orphan = await later.bulk.open(REQUEST, 1, gate)
    const kept = await later.bulk.open(REQUEST, 1, gate)
    const account = await open('upsert', 'Account')
    await later.bulk.sweep('Contact', (ids) => Promise.resolve(new Set(ids.filter((id) => id === kept))), gate)
    const left = await Promise.all([orphan, kept, account].map(async (id) => (await call('GET', `/${id}`)).status))
    assert.deepEqual(left, [404, 200, 200])
    assert.ok(other !== '' && full !== '')
    await later.close()
  })
})
