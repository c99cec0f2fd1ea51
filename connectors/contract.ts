import type { TObject } from 'typebox'
import type { ConnectorError } from './errors.ts'

/**
 * What a connector is: values, which both kinds have in common, and destinations; sources are in source-contract.ts.
 * A connector knows one system; it knows no Temporal, no state database and no environment. It throws nothing but `ConnectorError`
 * (errors.ts). Nobody logs a row's value or a secret.
 */

/** What a value means, whatever the warehouse calls its type. */
export type ValueKind =
  'integer' | 'decimal' | 'float' | 'boolean' | 'text' | 'timestamptz' | 'timestamp' | 'date' | 'json' | 'array' | 'bytes' | 'other'

/**
 * Values travel as canonical text, or null for NULL:
 * integer, decimal and float as digits (`NaN`, `Infinity`, `-Infinity` possible) · boolean `true`/`false` ·
 * timestamptz `2026-01-31T23:59:59.123456Z` · timestamp the same without `Z` · date `2026-01-31` ·
 * json and array as JSON text · bytes as base64 · the rest as the warehouse prints it.
 */
export type CanonicalText = string | null

export interface Column {
  readonly name: string
  readonly kind: ValueKind
  /** The warehouse's own name of the type, for messages. */
  readonly nativeType: string
}

export type Query = { readonly sql: string } | { readonly table: string }

export interface Check {
  readonly ok: boolean
  /** One sentence: what was reached, or what is wrong and what to do. */
  readonly detail: string
}

export type Mode = 'upsert' | 'update' | 'insert' | 'mirror'

export interface FieldDescription {
  readonly name: string
  readonly label: string
  /** The destination's own type name. */
  readonly type: string
  readonly writable: boolean
  readonly requiredOnCreate: boolean
  /** Records can be identified by it: unique, or at least an index of the destination's own (then `review` warns). */
  readonly unique: boolean
  /** Texts that differ by case only are different ones. */
  readonly caseSensitive?: boolean
  /** Allowed values, if the field is an enumeration. */
  readonly options?: readonly string[]
  readonly maxLength?: number
}

export interface ObjectDescription {
  readonly name: string
  readonly fields: readonly FieldDescription[]
}

/** Encodes one canonical text into the JSON text that the destination gets, or says why it cannot hold it (no value in it). */
export type FieldEncoder = (text: string) => { readonly json: string } | { readonly invalid: string; readonly code: string }

/**
 * One planned version. `line` is its frozen JSON text: `{"id":…,"op":"upsert"|"delete","key":…,"fields":{…}}`,
 * fields already encoded; it holds no line break and is sent as it stands wherever the destination takes JSON.
 */
export interface PlannedRecord {
  readonly id: string
  readonly op: 'upsert' | 'delete'
  readonly line: string
}

export interface WriteRequest {
  /** Stable over every repeat of this batch. */
  readonly batchId: string
  readonly sync: string
  readonly run: string
  /** When the plan was made, ISO 8601: part of the frozen bytes. */
  readonly plannedAt: string
  readonly object: string
  readonly mode: Mode
  /** Destination field that identifies the record; null where the sync names none. */
  readonly match: string | null
  readonly records: readonly PlannedRecord[]
}

/**
 * What a destination asks before each HTTP request it makes: `admit` waits for the account's budget, `assertFresh`
 * (synchronous, last thing before the bytes leave) throws `stale` when the claim is too old (invariant 5).
 */
export interface RequestGate {
  readonly signal: AbortSignal
  admit(): Promise<void>
  assertFresh(): void
  /** What the vendor's headers allow now; the account's budget follows it. */
  allow(quota: { readonly requestsPerSecond: number }): void
  /** For tests only: told when half of a request's body has left, and when its answer is here, before anybody reads it. */
  readonly watch?: (moment: 'half' | 'answered') => void
}

/** How a sync uses an object. */
export interface Use {
  readonly object: string
  readonly mode: Mode
  readonly match: string | null
  /** Mapped destination fields. */
  readonly fields: readonly string[]
}

/** What a destination has to say about a use: errors keep a sync from running, warnings do not. */
export interface Remark {
  readonly level: 'error' | 'warning'
  /** What of the use it is about; `field` names the mapped field. */
  readonly about: 'mode' | 'match' | { readonly field: string }
  readonly message: string
}

export type RejectionClass = 'invalid' | 'data' | 'conflict' | 'missing' | 'permission' | 'locked'

export type RecordOutcome =
  | { readonly id: string; readonly status: 'delivered' | 'skipped' | 'in_doubt' }
  /** Definitely not applied; send it again later. */
  | { readonly id: string; readonly status: 'retry'; readonly message: string }
  | {
      readonly id: string
      readonly status: 'rejected'
      readonly class: RejectionClass
      readonly code: string
      readonly field: string | null
      /** The destination's words without the row's values. */
      readonly message: string
    }

/** What a destination has of a record: all as wanted (of a delete: nothing), something else, or nothing. */
export type ReadBack = 'as_wanted' | 'differs' | 'absent'

/** What a bulk job does: one operation on one object. */
export interface BulkRequest extends Pick<WriteRequest, 'object' | 'mode' | 'match'> {
  readonly op: PlannedRecord['op']
  /** Every destination field that the sync maps; a record may lack some. */
  readonly fields: readonly string[]
}

/** Where a job is, asked by its id. `ended`: it cannot take effect any more (part of it may have); `error` says why it ended early. */
export type BulkState =
  | { readonly state: 'open' }
  | { readonly state: 'running'; readonly processed: number }
  | { readonly state: 'ended'; readonly error: string | null }

export interface BulkResults {
  /**
   * One outcome per record, by its match value: `retry` for one that certainly was not applied, `in_doubt` for one that the
   * results do not mention.
   */
  outcomes(records: readonly PlannedRecord[], gate: RequestGate): Promise<RecordOutcome[]>
  /** Why the run has to end once these outcomes are settled: whatever else it sends would be refused like all of this job. */
  readonly hopeless: ConnectorError | null
}

/**
 * Many records in one job of the destination's own: open → upload → close → state … → results → discard. Nothing takes effect before
 * `close`. All throw ConnectorError; nobody but the caller retries.
 */
export interface BulkLoader {
  /** A phase of a run with at least so many records goes by bulk. */
  readonly from: number
  /** Limits of one job; bytes as uploaded. */
  readonly maxRecords: number
  readonly maxBytes: number
  /** Jobs of one run under way at once. */
  readonly concurrency: number
  /** At most so many bytes more than its frozen line does a record take. */
  readonly recordOverheadBytes: (request: BulkRequest) => number
  /** The new job's id. If the answer is lost, the job stays empty and does nothing. `refused`: this object cannot be loaded by jobs. */
  open(request: BulkRequest, records: number, gate: RequestGate): Promise<string>
  /** Once per job, whatever its answer: a job whose upload was not acknowledged can only be aborted. `pages` may be walked twice. */
  upload(job: string, request: BulkRequest, pages: () => AsyncIterable<readonly PlannedRecord[]>, gate: RequestGate): Promise<void>
  /** From here on the job takes effect. Repeatable: a job that was closed before stays as it is. */
  close(job: string, gate: RequestGate): Promise<void>
  /** A job that the destination does not know (any more) has ended. */
  state(job: string, gate: RequestGate): Promise<BulkState>
  /** Asks it to stop; whether it did is to be seen in its state. Repeatable. */
  abort(job: string, gate: RequestGate): Promise<void>
  /** Of a job that has ended. Repeatable until it is discarded. */
  results(job: string, request: BulkRequest, gate: RequestGate): Promise<BulkResults>
  /** Deletes an ended job with its results. Repeatable. */
  discard(job: string, gate: RequestGate): Promise<void>
  /** Aborts and deletes empty jobs of ours that are a day old and that `known` (asked with their ids) does not name. */
  sweep(object: string, known: (jobs: readonly string[]) => Promise<ReadonlySet<string>>, gate: RequestGate): Promise<void>
}

export interface Destination {
  readonly batchSize: number
  /** Requests in flight per worker. */
  readonly concurrency: number
  /** Requests a second for the whole account, all workers together; null: no limit. */
  readonly requestsPerSecond: number | null
  /** A request is aborted hard after this. */
  readonly timeoutMs: number
  /** How long after that abort a request may still take effect. */
  readonly lostRequestMs: number
  /** Identity of the account: same base address and same credentials give the same text. A hash, no secret in it. */
  readonly account: string
  check(signal: AbortSignal): Promise<Check>
  /**
   * Fields of an object; null where the destination takes any field (webhook). `mapped`: the sync's fields, for destinations that
   * reach more than the object's own (related records). Throws `config` naming near objects if unknown.
   */
  describe(object: string, signal: AbortSignal, mapped?: readonly string[]): Promise<ObjectDescription | null>
  /** What mode, match field and mapped fields mean together, beyond what the description says by itself. Asked after `describe`. */
  review?(use: Use, signal: AbortSignal): Promise<Remark[]>
  /** `field` is null where describe gave null. Throws `config` when this kind of column can never fit the field. */
  encoder(field: FieldDescription | null, kind: ValueKind): FieldEncoder
  /** JSON text that clears the field. */
  readonly clear: string
  /** The match value as the destination compares it (case, spaces). Input is the JSON value as text; `field` is null as for `encoder`. */
  fold(matchValue: string, field: FieldDescription | null): string
  /**
   * Sends one batch. One outcome per record id; a record left out counts as in doubt. Throws ConnectorError for the batch as a
   * whole: its kind says whether anything may have been applied. Repeat-safe only as the mode promises; the caller retries.
   */
  write(request: WriteRequest, gate: RequestGate): Promise<RecordOutcome[]>
  /** What there is of each record, read by match value; absent where nothing can be read back (webhook). */
  readBack?(request: WriteRequest, gate: RequestGate): Promise<ReadonlyMap<string, ReadBack>>
  /** Absent where the destination knows no jobs. */
  readonly bulk?: BulkLoader
  /**
   * The mapped field whose equal values are best sent together (records that share a parent fight for its lock); batches are
   * grouped by it. Absent or null: none.
   */
  groupBy?(fields: readonly FieldDescription[]): string | null
  close(): Promise<void>
}

export interface DestinationConnector {
  readonly slug: string
  readonly title: string
  readonly config: TObject
  readonly secrets: readonly string[]
  readonly modes: readonly Mode[]
  /** Whether a sync must name `object` and `match`. */
  readonly needsObject: boolean
  readonly needsMatch: boolean
  open(config: Record<string, unknown>): Destination
}
