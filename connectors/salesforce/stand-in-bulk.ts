import { jsonAnswer, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { textAt, type JsonObject } from '../json-object.ts'
import { USER_ID } from './stand-in-access.ts'
import { notFound, Refusal } from './stand-in-answers.ts'
import { textOf } from './stand-in-bulk-file.ts'
import { IngestJob, type JobRequest } from './stand-in-bulk-job.ts'
import type { Org } from './stand-in-org.ts'

const OPERATIONS = ['insert', 'update', 'upsert', 'delete', 'hardDelete']
/** 100 MB of raw CSV become 150 MB in base64, which is the limit. */
const MAX_CONTENT_BYTES = 100_000_000

/** `/jobs/ingest…`: Bulk API 2.0. What it does and where that is known from stands in STAND-IN.md. */
export class BulkJobs {
  readonly #org: Org
  readonly #jobs = new Map<string, IngestJob>()
  #batchesUsed = 0
  #made = 0
  uploads = 0

  constructor(org: Org) {
    this.#org = org
  }

  get batchesLeft(): number {
    return Math.max(0, this.#org.settings.bulkBatches - this.#batchesUsed)
  }

  /** Lets time pass; whoever looks at records or jobs calls it first. */
  advance(): void {
    for (const job of this.#jobs.values()) if (!job.over) this.#batchesUsed += job.advance(this.#org, this.batchesLeft)
  }

  states(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const { state } of this.#jobs.values()) counts[state] = (counts[state] ?? 0) + 1
    return counts
  }

  handle(request: StandInRequest, version: string, [id, part]: readonly string[]): StandInAnswer {
    const { method } = request
    if (id === undefined) return method === 'POST' ? this.#create(request, version) : this.#list(request, version)
    const job = this.#jobs.get(id)
    if (job === undefined) throw notFound()
    if (part === 'batches' && method === 'PUT') return this.#upload(job, request)
    if (part !== undefined && part !== '') return this.#results(job, part, request)
    if (method === 'PATCH') return this.#patch(job, request, version)
    if (method === 'DELETE') return this.#remove(job)
    return jsonAnswer(200, this.#shown(job, version))
  }

  #create(request: StandInRequest, version: string): StandInAnswer {
    const body = textOf(request.body) ?? {}
    const operation = textAt(body, 'operation') ?? ''
    if (!OPERATIONS.includes(operation)) throw new Refusal(400, 'INVALIDJOB', `${operation} is no operation`)
    if (operation === 'hardDelete') throw new Refusal(400, 'FEATURENOTENABLED', 'hardDelete needs the permission Bulk API Hard Delete')
    const object = this.#org.store(textAt(body, 'object') ?? '')
    if (object === undefined || this.#org.settings.bulkRefuses.includes(object.name))
      throw new Refusal(400, 'INVALIDENTITY', `Entity '${textAt(body, 'object') ?? ''}' is not supported by the Bulk API`)
    if ((textAt(body, 'lineEnding') ?? 'LF') !== 'LF' || (textAt(body, 'columnDelimiter') ?? 'COMMA') !== 'COMMA')
      throw new Refusal(400, 'INVALIDJOB', 'this stand-in serves LF and COMMA only')
    const external = textAt(body, 'externalIdFieldName')
    if (operation === 'upsert' && (external === null || this.#org.field(object, external)?.externalId !== true))
      throw new Refusal(400, 'INVALIDJOB', `External ID field name is not valid: ${external ?? ''}`)
    const wanted: JobRequest = { object, operation, externalIdFieldName: external }
    this.#made += 1
    const job = new IngestJob(`7505g00000${this.#made.toString(36).padStart(5, '0')}AAA`, wanted, this.#org.now())
    this.#jobs.set(job.id, job)
    return jsonAnswer(200, this.#shown(job, version))
  }

  #upload(job: IngestJob, { headers, body }: StandInRequest): StandInAnswer {
    if (job.state !== 'Open') throw wrongState(job, 'take content')
    if (!/^text\/csv\b/.test(headers['content-type'] ?? '')) throw new Refusal(400, 'CLIENTINPUTERROR', 'Content-Type must be text/csv')
    if (body.length > MAX_CONTENT_BYTES) throw new Refusal(413, 'CLIENTINPUTERROR', 'The content is larger than a job takes')
    if (job.content !== null) throw new Refusal(400, 'INVALIDJOBSTATE', `Found multiple contents for job: <${job.id}>`)
    job.content = body
    this.uploads += 1
    return { status: 201, body: '' }
  }

  #patch(job: IngestJob, request: StandInRequest, version: string): StandInAnswer {
    const wanted = textAt(textOf(request.body) ?? {}, 'state')
    if (wanted === 'UploadComplete') {
      if (job.state !== 'Open') throw wrongState(job, 'be closed')
      job.start(this.#org.now())
    } else if (wanted === 'Aborted') {
      if (job.over) throw wrongState(job, 'be aborted')
      job.abort(this.#org)
    } else throw new Refusal(400, 'INVALIDJOB', 'state must be UploadComplete or Aborted')
    return jsonAnswer(200, this.#shown(job, version))
  }

  /** `bulkResultRows` rows a page, fewer if `maxRecords` says so; `Sforce-Locator` names the next one, `null` if there is none. */
  #results(job: IngestJob, part: string, { query }: StandInRequest): StandInAnswer {
    if (!['successfulResults', 'failedResults', 'unprocessedrecords'].includes(part)) throw notFound()
    if (!job.over) throw wrongState(job, 'show results')
    const { header, rows } = job.results(part)
    const from = Number(Buffer.from(query.get('locator') ?? '', 'base64url').toString())
    if (!(from >= 0 && from <= rows.length)) throw new Refusal(400, 'INVALIDQUERYLOCATOR', 'The locator is not valid')
    const asked = Number(query.get('maxRecords'))
    const { bulkResultRows } = this.#org.settings
    const page = rows.slice(from, from + (asked > 0 ? Math.min(asked, bulkResultRows) : bulkResultRows))
    const next = from + page.length < rows.length ? Buffer.from(String(from + page.length)).toString('base64url') : 'null'
    return {
      status: 200,
      headers: { 'content-type': 'text/csv', 'sforce-locator': next, 'sforce-numberofrecords': String(page.length) },
      body: [header, ...page, ''].join('\n'),
    }
  }

  #remove(job: IngestJob): StandInAnswer {
    if (!job.over && job.state !== 'UploadComplete') throw wrongState(job, 'be deleted')
    this.#jobs.delete(job.id)
    return { status: 204 }
  }

  /** In no order that means anything, `bulkPageSize` a page. */
  #list({ query }: StandInRequest, version: string): StandInAnswer {
    const from = Number(query.get('queryLocator') ?? 0)
    const size = this.#org.settings.bulkPageSize
    const all = [...this.#jobs.values()].reverse()
    const done = from + size >= all.length
    return jsonAnswer(200, {
      done,
      nextRecordsUrl: done ? null : `/services/data/v${version}/jobs/ingest?queryLocator=${from + size}`,
      records: all.slice(from, from + size).map((job) => this.#shown(job, version)),
    })
  }

  #shown(job: IngestJob, version: string): JsonObject {
    const { object, operation, externalIdFieldName } = job.request
    const { processed, failed } = job.counts()
    const created = new Date(job.createdAt).toISOString().replace('Z', '+0000')
    return {
      id: job.id,
      operation,
      object: object.name,
      ...(externalIdFieldName === null ? {} : { externalIdFieldName }),
      createdById: USER_ID,
      createdDate: created,
      systemModstamp: created,
      state: job.state,
      concurrencyMode: 'Parallel',
      contentType: 'CSV',
      apiVersion: Number(version),
      contentUrl: `services/data/v${version}/jobs/ingest/${job.id}/batches`,
      lineEnding: 'LF',
      columnDelimiter: 'COMMA',
      jobType: 'V2Ingest',
      ...(job.state === 'Open'
        ? {}
        : { numberRecordsProcessed: processed, numberRecordsFailed: failed, retries: 0, totalProcessingTime: 0 }),
      ...(job.errorMessage === null ? {} : { errorMessage: job.errorMessage }),
    }
  }
}

function wrongState(job: IngestJob, verb: string): Refusal {
  return new Refusal(400, 'INVALIDJOBSTATE', `Job ${job.id} is ${job.state} and cannot ${verb}`)
}
