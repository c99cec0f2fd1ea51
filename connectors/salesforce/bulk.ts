import type { BulkLoader, BulkRequest, BulkResults, BulkState, PlannedRecord, RecordOutcome, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { isObject, objectsAt, textAt, type JsonObject } from '../json-object.ts'
import { bulkShape, headerLine, parentField, recordLine, type BulkShape } from './bulk-csv.ts'
import { bulkOutcome, jobState } from './bulk-outcomes.ts'
import { BulkResultsTable, type ResultFile } from './bulk-results.ts'
import type { Reply, SalesforceClient } from './client.ts'
import { foldMatch } from './compare.ts'
import type { SalesforceObject } from './object.ts'
import { answeredWith, errorsOf } from './envelope.ts'
import { canonicalId } from './ids.ts'
import {
  BULK_CONCURRENCY,
  BULK_TRANSFER_MS,
  DAILY_WAIT_MS,
  INTERNAL_BATCH_RECORDS,
  MAX_BULK_BYTES,
  MAX_BULK_RECORDS,
  ORPHAN_AGE_MS,
  SWEEP_EVERY_MS,
} from './limits.ts'
import { lookUp } from './lookup.ts'
import { hopeless } from './outcomes.ts'
import { readRecords, type SalesforceRecord } from './record.ts'

/** Bulk API 2.0 ingest, by plain requests. Jobs are found again by the id that their maker wrote down, never by searching. */
export function bulkLoader({
  client,
  from,
  describe,
}: {
  readonly client: SalesforceClient
  readonly from: number
  /** The object with the relationships that the fields name. */
  readonly describe: (request: Pick<BulkRequest, 'object' | 'fields'>, gate: RequestGate) => Promise<SalesforceObject>
}): BulkLoader {
  /** The user that our jobs belong to, as the last job told it. */
  let user: string | null = null
  let sweptAtMs = -Infinity

  const jobCall = (method: 'GET' | 'PATCH' | 'DELETE', job: string, gate: RequestGate, what: string, body?: object): Promise<Reply> =>
    client.call({
      method,
      path: `/jobs/ingest/${encodeURIComponent(job)}`,
      gate,
      what,
      writes: method === 'PATCH',
      ...(body ? { body } : {}),
    })

  const state = async (job: string, gate: RequestGate): Promise<BulkState> => {
    const { status, body } = await jobCall('GET', job, gate, 'the state of a bulk job')
    if (status === 404) return { state: 'ended', error: 'Salesforce does not know the job any more' }
    if (status !== 200 || !isObject(body)) throw refused('the question for the state of a bulk job', status, body)
    return jobState(body)
  }

  const abort = async (job: string, gate: RequestGate): Promise<void> => {
    const { status, body } = await jobCall('PATCH', job, gate, 'the abort of a bulk job', { state: 'Aborted' })
    // One that has ended cannot be aborted, nor need be.
    if (status >= 300 && status !== 404 && (await state(job, gate)).state !== 'ended')
      throw refused('the abort of a bulk job', status, body)
  }

  const discard = async (job: string, gate: RequestGate): Promise<void> => {
    const { status, body } = await jobCall('DELETE', job, gate, 'the removal of a bulk job')
    if (status >= 300 && status !== 404) throw refused('the removal of a bulk job', status, body)
  }

  return {
    from,
    maxRecords: MAX_BULK_RECORDS,
    maxBytes: MAX_BULK_BYTES,
    concurrency: BULK_CONCURRENCY,
    // A separator a column, a null that is two characters longer than in JSON, an id and the line's end.
    recordOverheadBytes: ({ fields }) => 24 + 3 * fields.length,
    state,
    abort,
    discard,

    async open(request, records, gate) {
      await client.withinShare(gate)
      await withinAllocation(client, records, gate)
      const { operation } = bulkShape(request, await describe(request, gate))
      const { status, body } = await client.call({
        method: 'POST',
        path: '/jobs/ingest',
        gate,
        what: 'a new bulk job',
        // An answer that is lost leaves an empty job, which does nothing.
        writes: false,
        body: {
          object: request.object,
          operation,
          contentType: 'CSV',
          lineEnding: 'LF',
          columnDelimiter: 'COMMA',
          ...(operation === 'upsert' ? { externalIdFieldName: request.match } : {}),
        },
      })
      const id = isObject(body) ? textAt(body, 'id') : null
      if (status >= 300 || id === null) throw refused('a new bulk job', status, body)
      user = isObject(body) ? textAt(body, 'createdById') : null
      return id
    },

    async upload(job, request, pages, gate) {
      const object = await describe(request, gate)
      const shape = bulkShape(request, object)
      const { status, body } = await client.call({
        method: 'PUT',
        path: `/jobs/ingest/${encodeURIComponent(job)}/batches`,
        headers: { 'content-type': 'text/csv' },
        stream: () => csv({ client, object, request, shape, gate }, pages()),
        timeoutMs: BULK_TRANSFER_MS,
        gate,
        what: 'the upload of a bulk job',
        writes: true,
      })
      if (status >= 300) throw refused('the upload of a bulk job', status, body)
    },

    async close(job, gate) {
      const { status, body } = await jobCall('PATCH', job, gate, 'the start of a bulk job', { state: 'UploadComplete' })
      const said = isObject(body) ? textAt(body, 'state') : null
      if (status < 300 && said !== null && said !== 'Open') return
      if ((await state(job, gate)).state !== 'open') return
      if (status >= 300) throw refused('the start of a bulk job', status, body)
      throw new ConnectorError('in_doubt', 'Salesforce accepted the start of a bulk job, and the job is still open')
    },

    async results(job, request, gate): Promise<BulkResults> {
      const object = await describe(request, gate)
      const shape = bulkShape(request, object)
      const match = request.match ?? ''
      const field = object.fields.get(match) ?? null
      const table = shape.withId
        ? new BulkResultsTable('Id', (id) => canonicalId(id) ?? '')
        : new BulkResultsTable(match, (value) => foldMatch(value, field))
      for (const file of ['successfulResults', 'failedResults', 'unprocessedrecords'] as const)
        await download(client, { job, file, table, gate })
      return {
        hopeless: hopeless(table.codes, 'a bulk job'),
        async outcomes(records, outcomesGate): Promise<RecordOutcome[]> {
          const read = readRecords(records, match, object)
          const ids = shape.withId ? await idsOf({ client, object, match, gate: outcomesGate }, read) : null
          return read.map((record) =>
            bulkOutcome(record, {
              sent: { inputs: [], match, mode: request.mode },
              carried: recordLine(record, shape, null) !== null,
              found: ids === null ? null : (ids.get(record.folded) ?? []),
              table,
            }),
          )
        },
      }
    },

    async sweep(object, known, gate) {
      const now = performance.now()
      if (user === null || now - sweptAtMs < SWEEP_EVERY_MS) return
      sweptAtMs = now
      const orphans = (await openJobs(client, gate)).filter(
        (job) =>
          textAt(job, 'object') === object &&
          textAt(job, 'createdById') === user &&
          Date.now() - Date.parse(textAt(job, 'createdDate') ?? '') > ORPHAN_AGE_MS,
      )
      const ids = orphans.flatMap((job) => textAt(job, 'id') ?? [])
      const ours = ids.length === 0 ? new Set<string>() : await known(ids)
      for (const id of ids.filter((each) => !ours.has(each))) {
        await abort(id, gate)
        await discard(id, gate)
      }
    },
  }
}

interface CsvGround {
  readonly client: SalesforceClient
  readonly object: SalesforceObject
  readonly request: BulkRequest
  readonly shape: BulkShape
  readonly gate: RequestGate
}

/** The CSV, page by page, children of one parent side by side. Records without an id of their own where one is needed are left out. */
async function* csv(
  { client, object, request, shape, gate }: CsvGround,
  pages: AsyncIterable<readonly PlannedRecord[]>,
): AsyncGenerator<Buffer> {
  const match = request.match ?? ''
  const parent = parentField(shape.fields.flatMap((name) => object.fields.get(name) ?? []))
  yield Buffer.from(headerLine(shape))
  for await (const page of pages) {
    const records = readRecords(page, match, object)
    if (parent !== null) sortBy(records, parent)
    const ids = shape.withId ? await idsOf({ client, object, match, gate }, records) : null
    let text = ''
    for (const record of records) {
      const [id = null, ...others] = ids?.get(record.folded) ?? []
      if (ids !== null && (id === null || others.length > 0)) continue
      text += recordLine(record, shape, id) ?? ''
    }
    if (text !== '') yield Buffer.from(text)
  }
}

function sortBy(records: SalesforceRecord[], name: string): void {
  const text = ({ fields }: SalesforceRecord): string => String(fields[name] ?? '')
  records.sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0))
}

/** Salesforce's ids of the records that hold these match values: folded match value → ids. */
async function idsOf(
  at: { client: SalesforceClient; object: SalesforceObject; match: string; gate: RequestGate },
  records: readonly SalesforceRecord[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = await lookUp({ ...at, values: records.map((record) => record.match), fields: [] })
  return new Map([...found].map(([folded, stored]) => [folded, stored.map(({ id }) => id)]))
}

/** A large result comes in pieces: `Sforce-Locator` names the next one. Of a job that somebody deleted there is none. */
async function download(
  client: SalesforceClient,
  { job, file, table, gate }: { job: string; file: ResultFile; table: BulkResultsTable; gate: RequestGate },
): Promise<void> {
  for (let locator: string | null = ''; locator !== null;) {
    const { receive, end } = table.reader(file)
    const query: string = locator === '' ? '' : `?locator=${encodeURIComponent(locator)}`
    const what = `the ${file} of a bulk job`
    const path = `/jobs/ingest/${encodeURIComponent(job)}/${file}/${query}`
    const { status, headers, body } = await client.call({
      method: 'GET',
      path,
      headers: { accept: 'text/csv' },
      gate,
      what,
      writes: false,
      receive,
      timeoutMs: BULK_TRANSFER_MS,
    })
    if (status === 404) return
    if (status >= 300) throw refused(what, status, body)
    await end()
    const next: string | undefined = headers['sforce-locator']
    locator = next === undefined || next === '' || next === 'null' ? null : next
  }
}

/** Internal batches of the rolling day: records above the allocation would be left without any result. Throws `throttled`. */
async function withinAllocation(client: SalesforceClient, records: number, gate: RequestGate): Promise<void> {
  const { body } = await client.call({ method: 'GET', path: '/limits', gate, what: 'the limits of the org', writes: false })
  const batches = isObject(body) && isObject(body['DailyBulkApiBatches']) ? body['DailyBulkApiBatches'] : null
  const remaining = batches === null ? NaN : Number(batches['Remaining'])
  if (!(remaining < Math.ceil(records / INTERNAL_BATCH_RECORDS))) return
  throw new ConnectorError('throttled', `Salesforce: ${remaining} of the org's daily bulk batches are left, too few for the next job`, {
    code: 'DAILY_BULK_BATCHES',
    retryAfterMs: DAILY_WAIT_MS,
  })
}

async function openJobs(client: SalesforceClient, gate: RequestGate): Promise<JsonObject[]> {
  const jobs: JsonObject[] = []
  for (let locator: string | null = ''; locator !== null;) {
    const path: string = `/jobs/ingest?jobType=V2Ingest${locator === '' ? '' : `&queryLocator=${encodeURIComponent(locator)}`}`
    const { status, body } = await client.call({ method: 'GET', path, gate, what: 'the list of bulk jobs', writes: false })
    if (status >= 300 || !isObject(body)) return jobs
    jobs.push(...objectsAt(body, 'records').filter((job) => textAt(job, 'state') === 'Open'))
    const next: string | undefined = /[?&]queryLocator=([^&]+)/.exec(textAt(body, 'nextRecordsUrl') ?? '')?.[1]
    locator = body['done'] === true || next === undefined ? null : decodeURIComponent(next)
  }
  return jobs
}

function refused(what: string, status: number, body: unknown): ConnectorError {
  const [error] = errorsOf(body)
  const quota = /EXCEEDED_?QUOTA/.test(error?.code ?? '')
  return new ConnectorError(quota ? 'throttled' : 'refused', answeredWith(status, error, what), {
    code: error?.code ?? String(status),
    ...(quota ? { retryAfterMs: DAILY_WAIT_MS } : {}),
  })
}
