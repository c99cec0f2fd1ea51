import { foldMatch } from './compare.ts'
import { objectOf, JobFailure, parentsOf, readFile, resultLines, type BulkFile } from './stand-in-bulk-file.ts'
import { rowError } from './stand-in-answers.ts'
import type { Org, Saved } from './stand-in-org.ts'
import type { ObjectStore } from './stand-in-store.ts'

export type JobState = 'Open' | 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted'

export interface JobRequest {
  readonly object: ObjectStore
  readonly operation: string
  readonly externalIdFieldName: string | null
}

/** Records that Salesforce handles in one go within a job's internal batch. */
const CHUNK = 200

type Outcome = Saved | 'unprocessed' | 'without result'

/**
 * One ingest job. Time moves it: half of its rows are written when it goes InProgress, the rest when it completes. `Failed` and
 * `Aborted` keep what was written before.
 */
export class IngestJob {
  readonly id: string
  readonly request: JobRequest
  readonly createdAt: number
  state: JobState = 'Open'
  content: Buffer | null = null
  errorMessage: string | null = null
  #startedAt = 0
  #file: BulkFile = { header: [], rows: [] }
  #outcomes: Outcome[] = []

  constructor(id: string, request: JobRequest, now: number) {
    this.id = id
    this.request = request
    this.createdAt = now
  }

  get over(): boolean {
    return this.state === 'JobComplete' || this.state === 'Failed' || this.state === 'Aborted'
  }

  counts(): { readonly processed: number; readonly failed: number } {
    const saved = this.#outcomes.filter((outcome) => typeof outcome === 'object')
    return { processed: saved.length, failed: saved.filter(({ success }) => !success).length }
  }

  start(now: number): void {
    this.state = 'UploadComplete'
    this.#startedAt = now
  }

  abort(org: Org): void {
    if (this.state === 'UploadComplete') this.#begin(org, 0)
    this.state = 'Aborted'
    this.#fill('unprocessed')
  }

  /** Goes as far as time, settings and the day's allocation let it; how many internal batches that took. */
  advance(org: Org, batchesLeft: number): number {
    const { bulkQueueMs, bulkProcessMs, bulkHold, bulkFailure } = org.settings
    const elapsed = org.now() - this.#startedAt
    let used = 0
    if (this.state === 'UploadComplete' && elapsed >= bulkQueueMs) {
      used = this.#begin(org, batchesLeft)
      if (this.over) return used
      this.#write(org, Math.ceil(this.#file.rows.length / 2))
    }
    if (this.state !== 'InProgress' || bulkHold || elapsed < bulkQueueMs + bulkProcessMs) return used
    if (bulkFailure === null) this.#write(org, this.#file.rows.length)
    else this.errorMessage = bulkFailure
    this.#fill('unprocessed')
    this.state = bulkFailure === null ? 'JobComplete' : 'Failed'
    return used
  }

  results(which: string): ReturnType<typeof resultLines> {
    const { object } = this.request
    const rows = this.#file.rows.map((row, index) => ({ row, outcome: this.#outcomes[index] ?? 'unprocessed' }))
    const select = (first: readonly string[], cells: (outcome: Outcome) => string[] | null): ReturnType<typeof resultLines> =>
      resultLines(
        object,
        this.#file,
        first,
        rows.flatMap(({ row, outcome }) => {
          const found = cells(outcome)
          return found === null ? [] : [{ first: found, row }]
        }),
      )
    switch (which) {
      case 'successfulResults':
        return select(['sf__Id', 'sf__Created'], (outcome) =>
          typeof outcome === 'object' && outcome.success ? [outcome.id, String(outcome.created)] : null,
        )
      case 'failedResults':
        return select(['sf__Id', 'sf__Error'], (outcome) =>
          typeof outcome === 'object' && !outcome.success ? ['', errorText(outcome)] : null,
        )
      default:
        return select([], (outcome) => (outcome === 'unprocessed' ? [] : null))
    }
  }

  #begin(org: Org, batchesLeft: number): number {
    try {
      if (this.content === null) throw new JobFailure('InvalidJob : There is no content')
      this.#file = readFile(org, this.request.object, this.request.operation, this.content)
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      this.errorMessage = error.message
      this.state = 'Failed'
      return 0
    }
    this.state = 'InProgress'
    this.#outcomes = []
    const { bulkBatchRows } = org.settings
    const wanted = Math.ceil(this.#file.rows.length / bulkBatchRows)
    for (let row = Math.min(wanted, batchesLeft) * bulkBatchRows; row < this.#file.rows.length; row++)
      this.#outcomes[row] = 'without result'
    return Math.min(wanted, batchesLeft)
  }

  /** Writes rows up to `end`, chunk by chunk. */
  #write(org: Org, end: number): void {
    const { bulkLocks, bulkBatchRows, bulkForgets } = org.settings
    const holder = new Map<string, number>()
    let twins: ReadonlySet<number> = new Set()
    for (const [index, row] of this.#file.rows.entries()) {
      if (index % CHUNK === 0) twins = this.#twins(index)
      const batch = Math.floor(index / bulkBatchRows)
      const parents = bulkLocks ? parentsOf(this.#file, this.request.object, row) : []
      const locked = parents.some((parent) => (holder.get(parent) ?? batch) !== batch)
      for (const parent of parents) if (!holder.has(parent)) holder.set(parent, batch)
      if (index >= end || this.#outcomes[index] !== undefined) continue
      const saved = locked ? LOCKED : twins.has(index) ? this.#twin(row) : this.#save(org, row)
      this.#outcomes[index] = bulkForgets !== null && (index + 1) % bulkForgets === 0 ? 'without result' : saved
    }
  }

  #save(org: Org, row: readonly string[]): Saved {
    const { object, operation, externalIdFieldName } = this.request
    const { Id: given, ...body } = objectOf(this.#file, row)
    const id = typeof given === 'string' ? given : ''
    switch (operation) {
      case 'insert':
        return org.create(object, body)
      case 'update':
        return org.update(object, id, body)
      case 'delete':
        return org.remove(id)
      default: {
        const external = externalIdFieldName === null ? undefined : org.field(object, externalIdFieldName)
        return external === undefined ? LOCKED : org.upsert(object, external, body)
      }
    }
  }

  /** Rows of the chunk from `start` on that name the same record as another one of it: all of these fail. */
  #twins(start: number): ReadonlySet<number> {
    const { object, operation, externalIdFieldName } = this.request
    const name = operation === 'upsert' ? (externalIdFieldName ?? '') : operation === 'insert' ? '' : 'Id'
    const column = this.#file.header.indexOf(name)
    const field = object.fields.get(name) ?? null
    const byKey = new Map<string, number[]>()
    for (const [offset, row] of this.#file.rows.slice(start, start + CHUNK).entries()) {
      const key = foldMatch(row[column] ?? '', field)
      byKey.set(key, [...(byKey.get(key) ?? []), start + offset])
    }
    return new Set(column < 0 ? [] : [...byKey.values()].filter((rows) => rows.length > 1).flat())
  }

  #twin(row: readonly string[]): Saved {
    const name = this.request.externalIdFieldName ?? 'Id'
    const value = row[this.#file.header.indexOf(name)] ?? ''
    return { success: false, errors: [rowError('DUPLICATE_VALUE', `Duplicate external id specified: ${value}`, [name])] }
  }

  #fill(outcome: Outcome): void {
    for (const index of this.#file.rows.keys()) this.#outcomes[index] ??= outcome
  }
}

const LOCKED: Saved = {
  success: false,
  errors: [rowError('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record or 1 records: 001000000000001AAA')],
}

/** `CODE:words:fields --` */
function errorText({ errors }: Extract<Saved, { success: false }>): string {
  const [first] = errors
  return `${first?.statusCode ?? 'UNKNOWN_EXCEPTION'}:${first?.message ?? ''}:${(first?.fields ?? []).join(', ')} --`
}
