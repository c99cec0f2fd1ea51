import type pg from 'pg'
import { stageBatches, type StagedBatch } from '../../state/staging.ts'
import type { NewRejection } from '../../state/settle.ts'
import type { PlanTables, RemovalRow } from '../../state/plan-tables.ts'
import { REMOVED, SegmentWriter, type PackedSegment } from '../../state/segment.ts'
import { keepHashes } from '../../state/warehouse-hashes.ts'
import { effect } from '../failpoints.ts'
import { BatchBuilder, recordLine, removalFields, type StagedRecord } from './batch.ts'
import { GroupedBatches, type GroupedBatch } from './grouping.ts'
import { invalidRejection, type InvalidRow, type PlannedRow, type PlanSink, type RemovalCandidate } from './plan-sink.ts'
import { BitSet, HashFilter } from './seen.ts'
import { TableRows } from './table-rows.ts'

/** Batches written in one statement; keeps outstanding memory flat and the plan ahead of the warehouse. */
const BATCHES_A_WRITE = 16
const HASHES_A_BLOCK = 1000

/** Reads unchanged rows back at the destination, a batch at a time. */
export interface DriftWatch {
  look(ordinal: number, row: Buffer): void
  due(): boolean
  readBack(): Promise<void>
}

interface PlanIds {
  readonly sync: string
  readonly run: string
  readonly plan: string
  /** Of a planned version of a record (invariant 9). */
  readonly version: (key: Uint8Array, match: string | null) => string
}

/** `hash` of its folded match value; null where none is checked. */
type PlannedRecord = StagedRecord & { readonly hash: Uint8Array | null }

/** Turns what the pass finds into frozen batches in the state database, and gathers what has to be checked once all is seen. */
export class StagingSink implements Required<PlanSink> {
  readonly counts = { added: 0, changed: 0, invalid: 0 }
  readonly invalidRejections = new Map<string, NewRejection>()
  readonly settledRejections: Buffer[] = []
  readonly renamed: { key: Buffer; match: string }[] = []
  readonly currentAgainMatches: { key: Buffer; match: string }[] = []
  readonly certainKeys: Buffer[] = []
  readonly matchFilter = new HashFilter()
  readonly unchangedOrdinals = new BitSet()
  /** Entries whose key is planned with the same match value. */
  readonly keptOrdinals = new BitSet()
  upsertBatches = 0
  removeBatches = 0
  /** Set for a verify run: looks at rows that did not change. */
  drift: DriftWatch | null = null

  readonly #client: pg.ClientBase
  readonly #tables: PlanTables
  readonly #ids: PlanIds
  readonly #hashMatch: ((match: string) => Uint8Array) | null
  readonly #readBackFirst: boolean
  readonly #builders: Record<'plain' | 'onBooks' | 'doubtful' | 'drifted' | 'invalid' | 'remove' | 'removeDoubtful', BatchBuilder>
  /** Plain upserts where the destination wants them grouped; else null. */
  readonly #grouped: GroupedBatches<PlannedRecord> | null
  readonly #matchField: string | undefined
  #staged: StagedBatch[] = []
  #rows = new TableRows()
  #invalidBatches = 0
  readonly #hashWriter = new SegmentWriter(true)
  #hashes: PackedSegment[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(input: {
    client: pg.ClientBase
    tables: PlanTables
    ids: PlanIds
    batchSize: number
    /** Segments carry match values. */
    carriesMatch: boolean
    /** Null: match values need no check (there are none, or they are the key itself). */
    hashMatch: ((match: string) => Uint8Array) | null
    matchField: string | undefined
    /** Every planned record is read back before it is sent (verify). */
    readBackFirst: boolean
    /** Destination field whose equal values go together; null: none. */
    groupBy: string | null
  }) {
    this.#client = input.client
    this.#tables = input.tables
    this.#ids = input.ids
    this.#hashMatch = input.hashMatch
    this.#matchField = input.matchField
    this.#readBackFirst = input.readBackFirst
    const builder = (phase: StagedBatch['phase'], doubtful: boolean, onBooks: boolean, nextSeq: () => number) =>
      new BatchBuilder(
        { phase, doubtful, onBooks },
        { limit: input.batchSize, hasMatch: phase === 'remove' || input.carriesMatch, nextSeq },
      )
    const upsert = () => this.upsertBatches++
    const remove = () => this.removeBatches++
    const { batchSize: limit, carriesMatch: hasMatch, groupBy } = input
    const plain = { phase: 'upsert', doubtful: false, onBooks: false } as const
    this.#grouped = groupBy === null ? null : new GroupedBatches(groupBy, plain, { limit, hasMatch, nextSeq: upsert })
    this.#builders = {
      plain: builder('upsert', false, false, upsert),
      onBooks: builder('upsert', false, true, upsert),
      doubtful: builder('upsert', true, true, upsert),
      drifted: builder('upsert', false, true, upsert),
      invalid: builder('invalid', false, false, () => this.#invalidBatches++),
      remove: builder('remove', false, true, remove),
      removeDoubtful: builder('remove', true, true, remove),
    }
  }

  get full(): boolean {
    return (
      this.#staged.length >= BATCHES_A_WRITE || this.#rows.full || this.#hashes.length >= BATCHES_A_WRITE || (this.drift?.due() ?? false)
    )
  }

  /** Starts a write and waits for the one before only: the pass goes on while the database stores batches (idle 7 % of a plan, not 30 %). */
  async drain(): Promise<void> {
    if (this.drift?.due()) await this.drift.readBack()
    const [staged, rows, hashes] = [this.#staged, this.#rows, this.#hashes]
    this.#staged = []
    this.#rows = new TableRows()
    this.#hashes = []
    await this.#writing
    this.#writing = this.#write(staged, rows, hashes)
    // Whoever waits for it next gets its error.
    this.#writing.catch(() => undefined)
  }

  async #write(staged: readonly StagedBatch[], rows: TableRows, hashes: readonly PackedSegment[]): Promise<void> {
    if (staged.length > 0) await effect('stage', () => stageBatches(this.#client, this.#ids.run, this.#ids.plan, staged))
    await rows.write(this.#tables)
    if (hashes.length > 0) await effect('keep-hashes', () => keepHashes(this.#client, this.#ids.sync, hashes))
  }

  planned(row: PlannedRow): void {
    const doubtful = this.#readBackFirst || (row.book !== null && row.book.doubtMs !== null)
    if (this.#grouped && !doubtful && !row.book) this.#planGrouped(row, this.#grouped)
    else this.#plan(row, doubtful ? this.#builders.doubtful : row.book ? this.#builders.onBooks : this.#builders.plain)
  }

  /** An unchanged row that the destination does not have as wanted. Found late, so it is batched apart: a batch is in key order. */
  drifted(row: PlannedRow, ordinal: number): void {
    this.unchangedOrdinals.delete(ordinal)
    this.#plan(row, this.#builders.drifted)
  }

  #plan(row: PlannedRow, builder: BatchBuilder): void {
    const record = this.#record(row)
    const full = builder.add(record)
    this.#writes(record, full ? full.seq : builder.seq)
    this.#stage(full)
  }

  #stage(batch: StagedBatch | null): void {
    if (batch) this.#staged.push(batch)
  }

  #planGrouped(row: PlannedRow, grouped: GroupedBatches<PlannedRecord>): void {
    const full = grouped.add(this.#record(row), row.fields)
    if (full) this.#stageGrouped(full)
  }

  #stageGrouped({ batch, records }: GroupedBatch<PlannedRecord>): void {
    for (const record of records) this.#writes(record, batch.seq)
    this.#staged.push(batch)
  }

  #record(row: PlannedRow): PlannedRecord {
    this.counts[row.op]++
    const line = recordLine({ id: this.#ids.version(row.key, null), op: 'upsert', key: row.keyTexts, fields: row.fields })
    const { key, fingerprint, match } = row
    const hash = this.#hashOf(match)
    return { key, fingerprint, match, op: row.op === 'added' ? 'a' : 'c', line, waitMs: row.book?.doubtMs ?? 0, hash }
  }

  /** Of a match value that is written or removed: the filter knows it from here on. */
  #hashOf(match: string | null): Uint8Array | null {
    const hash = this.#hashMatch && match !== null ? this.#hashMatch(match) : null
    if (hash) this.matchFilter.add(hash)
    return hash
  }

  /** Notes which batch writes the record's match value. */
  #writes({ hash, key }: PlannedRecord, seq: number): void {
    if (hash) this.#rows.matches.push({ hash, key, seq, role: 'p' })
  }

  removal(candidate: RemovalCandidate): void {
    const { key, match, counted, renames, book } = candidate
    if (renames && match !== null) this.renamed.push({ key, match })
    const doubtMs = book?.doubtMs ?? (this.#readBackFirst ? 0 : null)
    this.#rows.removals.push({ key, match, hash: this.#hashOf(match), counted, renames, doubtMs })
  }

  invalid(row: InvalidRow): void {
    this.counts.invalid++
    const rejection = invalidRejection(row)
    this.invalidRejections.set(rejection.id.toString('hex'), rejection)
    const { key, op, fingerprint, code, field, message } = rejection
    const line = JSON.stringify({ key, op, change: row.op, fields: {}, error: { code, field, message } })
    this.#stage(this.#builders.invalid.add({ key: row.key, fingerprint, match: row.match, op: 'i', line, waitMs: 0 }))
    if (row.match !== null) this.holds(row.match)
  }

  unchanged(ordinal: number, row: Buffer, start: number, end: number): void {
    this.unchangedOrdinals.add(ordinal)
    this.drift?.look(ordinal, row.subarray(start, end))
  }

  keepsMatch(ordinal: number): void {
    this.keptOrdinals.add(ordinal)
  }

  holds(match: string): void {
    if (this.#hashMatch) this.holdsHash(this.#hashMatch(match))
  }

  /** The key of a holder does not matter: it is another row than any planned one. */
  holdsHash(hash: Uint8Array, role: 'h' | 'a' = 'h'): void {
    this.#rows.matches.push({ hash, key: Buffer.alloc(0), seq: -1, role })
  }

  /** A baseline entry that is not its key's row as it stands; it ends if another row has its match value. */
  mayEnd(hash: Uint8Array, key: Buffer, match: string): void {
    this.#rows.endings.push({ hash, key, match })
  }

  unknown(key: Buffer, match: string | null): void {
    this.#rows.endings.push({ hash: null, key, match })
  }

  certain(key: Buffer): void {
    this.certainKeys.push(key)
  }

  mayStillWrite(key: Buffer, match: string, waitMs: number): void {
    const hash = this.#hashMatch?.(match)
    if (hash) this.#rows.doubts.push({ hash, key, waitMs })
  }

  settled(id: Buffer): void {
    this.settledRejections.push(id)
  }

  hashed(key: Buffer, fingerprint: Uint8Array, hash: string): void {
    this.#hashWriter.add(key, fingerprint, hash)
    if (this.#hashWriter.size >= HASHES_A_BLOCK) this.#closeHashes()
  }

  #closeHashes(): void {
    const block = this.#hashWriter.take()
    if (block) this.#hashes.push(block)
  }

  currentAgain(key: Buffer, match: string): void {
    this.currentAgainMatches.push({ key, match })
  }

  /** Writes batches that are not full yet; all is written then. The pass is over; only `remove` may follow. */
  async flush(): Promise<void> {
    for (const builder of Object.values(this.#builders)) this.#stage(builder.flush())
    for (const batch of this.#grouped?.flush() ?? []) this.#stageGrouped(batch)
    this.#closeHashes()
    await this.drain()
    await this.#writing
  }

  /**
   * Stages removals, given in key order, as they come, the last of them by a `flush`; how many count. An old match value acknowledges
   * nothing (op x).
   */
  async remove(pages: AsyncIterable<RemovalRow[]>, decodeKey: (key: Buffer) => readonly string[]): Promise<number> {
    let counted = 0
    for await (const page of pages) {
      for (const row of page) {
        const { key, match, doubtMs } = row
        if (row.counted) counted++
        const builder = doubtMs === null ? this.#builders.remove : this.#builders.removeDoubtful
        const fields = removalFields(this.#matchField, match)
        const line = recordLine({ id: this.#ids.version(key, match ?? ''), op: 'delete', key: decodeKey(key), fields })
        this.#stage(builder.add({ key, fingerprint: REMOVED, match, op: row.counted ? 'r' : 'x', line, waitMs: doubtMs ?? 0 }))
      }
      if (this.full) await this.drain()
    }
    return counted
  }
}
