import type { Reading, RowBlock } from '../../connectors/source-contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import type { BaselineReader } from '../../state/baseline.ts'
import { mustBeLookedAt, type BookEntry } from '../../state/books.ts'
import { compareBytes, equalBytes } from '../../state/bytes.ts'
import { FINGERPRINT_BYTES, REMOVED, type SegmentCursor } from '../../state/segment.ts'
import { decideRow } from './compare.ts'
import type { Differences } from './differences.ts'
import type { Mapped, RowMapper } from './map.ts'
import type { PlanSink } from './plan-sink.ts'
import { ownCopy, type WaitingRow } from './waiting-row.ts'

export interface PassCounts {
  read: number
  unchanged: number
  retried: number
  baseline: number
}

/**
 * One ordered merge of model, baseline and books: every key is looked at once, rows that did not change are never decoded.
 * Pure but for pulling its inputs. Throws `source` when keys come out of order.
 */
export class ComparePass {
  readonly counts: PassCounts = { read: 0, unchanged: 0, retried: 0, baseline: 0 }
  readonly #reading: Reading
  readonly #baseline: BaselineReader | null
  readonly #books: AsyncIterator<BookEntry> | null
  readonly #sink: PlanSink
  readonly #map: RowMapper
  readonly #fingerprint: (row: Uint8Array) => Uint8Array
  readonly #full: boolean
  readonly #mirror: boolean
  readonly #hasMatch: boolean
  readonly #differences: Differences | null
  #twinOp: 'added' | 'changed' = 'added'
  #book: BookEntry | null = null

  constructor(input: {
    reading: Reading
    /** Null: as if nothing had ever been delivered. */
    baseline: BaselineReader | null
    books: AsyncIterator<BookEntry> | null
    sink: PlanSink
    map: RowMapper
    fingerprint: (row: Uint8Array) => Uint8Array
    full: boolean
    mirror: boolean
    hasMatch: boolean
    /** Null: every row of the model comes. Else those that may differ, and keys that have left. */
    differences: Differences | null
  }) {
    this.#reading = input.reading
    this.#baseline = input.baseline
    this.#books = input.books
    this.#sink = input.sink
    this.#map = input.map
    this.#fingerprint = input.fingerprint
    this.#full = input.full
    this.#mirror = input.mirror
    this.#hasMatch = input.hasMatch
    this.#differences = input.differences
  }

  /** `stop` is asked between blocks. */
  async run(stop: () => boolean): Promise<void> {
    await this.#stepBaseline()
    await this.#nextBook()
    let waiting: WaitingRow | null = null
    for await (const block of this.#reading.blocks()) {
      for (let i = 0; i < block.length; i++) {
        if (block.gone?.has(i)) {
          this.#differences?.left(block.keys.subarray(block.keyOffsets[i], block.keyOffsets[i + 1]))
          continue
        }
        this.counts.read++
        if (block.nullKeys?.has(i)) {
          this.#nullKey(block, i)
          continue
        }
        const row: WaitingRow = {
          keys: block.keys,
          keyStart: block.keyOffsets[i] ?? 0,
          keyEnd: block.keyOffsets[i + 1] ?? 0,
          rows: block.rows,
          rowStart: block.rowOffsets[i] ?? 0,
          rowEnd: block.rowOffsets[i + 1] ?? 0,
          hash: block.hashes?.[i] ?? null,
          twin: 'none',
        }
        if (waiting) {
          const order = compareBytes(row.keys, row.keyStart, row.keyEnd, waiting.keys, waiting.keyStart, waiting.keyEnd)
          if (order < 0)
            throw new ConnectorError(
              'source',
              'the rows did not come in key order: the collation of the key or the source itself is unstable',
            )
          if (order === 0) {
            if (waiting.twin === 'none') waiting.twin = 'first'
            row.twin = 'later'
          }
          const pending = this.#row(waiting)
          if (pending) await pending
        }
        waiting = row
        if (this.#sink.full) await this.#sink.drain()
      }
      if (waiting) waiting = ownCopy(waiting)
      if (stop()) return
    }
    if (waiting) await this.#row(waiting)
    await this.#absentBefore(null)
    await this.#sink.drain()
  }

  /** A promise only where something has to be fetched first. */
  #row(row: WaitingRow): Promise<void> | null {
    if (this.#book === null) {
      const entry = this.#baseline?.current ?? null
      if (entry === null || entryOrder(entry, row) >= 0) return this.#decide(row)
    }
    return this.#absentBefore(row).then(async () => {
      await this.#decide(row)
    })
  }

  #decide(row: WaitingRow): Promise<void> | null {
    const next = this.#baseline?.current ?? null
    const entry = next !== null && entryOrder(next, row) === 0 ? next : null
    const book = this.#book !== null && bookOrder(this.#book, row) === 0 ? this.#book : null
    const bytes = row.rows.subarray(row.rowStart, row.rowEnd)
    const fingerprint = this.#fingerprint(bytes)
    if (book !== null) this.#doubt(book, entry)
    // The first of them steps the baseline on, and what it found there is true of all.
    if (row.twin === 'first') this.#twinOp = entry !== null ? 'changed' : 'added'
    if (row.twin !== 'none') this.#twin(row, bytes, fingerprint)
    else {
      if (row.hash !== null) this.#sink.hashed?.(row.keys.subarray(row.keyStart, row.keyEnd), fingerprint, row.hash)
      const sameVersion = entry !== null && equalBytes(fingerprint, 0, entry.bytes, entry.fingerprintStart, FINGERPRINT_BYTES)
      const refusal = book?.rejection ?? null
      const refused =
        !refusal || refusal.class === 'invalid' || !refusal.fingerprint.equals(fingerprint) ? 'no' : refusal.due ? 'due' : 'not_due'
      const decision = decideRow({
        inBaseline: entry !== null,
        sameVersion,
        doubtful: book !== null && book.doubtMs !== null,
        full: this.#full,
        refused,
      })
      if (decision === 'unchanged') {
        this.counts.unchanged++
        this.#sink.unchanged?.(this.counts.baseline - 1, row.rows, row.rowStart, row.rowEnd)
        if (book) this.#unchangedOnBooks(row, book, entry)
      } else if (decision === 'held') {
        const mapped = this.#mapped(bytes)
        if (mapped.match !== null) this.#sink.holds?.(mapped.match)
      } else {
        if (refused === 'due') this.counts.retried++
        this.#plan(row, bytes, fingerprint, decision, book, entry)
      }
    }
    // Twins step as well: their key is in the model, so what the baseline and the books have for it is not absent.
    const stepBook = book ? this.#nextBook() : null
    if (entry !== null) {
      const stepped = this.#stepBaseline()
      if (stepped) return stepBook ? stepBook.then(() => stepped) : stepped
    }
    return stepBook
  }

  #plan(
    row: WaitingRow,
    bytes: Buffer,
    fingerprint: Uint8Array,
    op: 'added' | 'changed',
    book: BookEntry | null,
    entry: SegmentCursor | null,
  ): void {
    const key = Buffer.from(row.keys.subarray(row.keyStart, row.keyEnd))
    const keyTexts = this.#reading.keyCodec.decode(key)
    const mapped = this.#mapped(bytes)
    if ('invalid' in mapped) {
      const { invalid: message, code, field, match } = mapped
      this.#sink.invalid({ op, key, keyTexts, fingerprint, code, field, message, match })
      return
    }
    this.#sink.planned({ op, key, keyTexts, fingerprint, fields: mapped.fields, match: mapped.match, book })
    if (mapped.match === null) return
    const current = entry && currentMatch(entry, keyTexts)
    if (current === mapped.match) this.#sink.keepsMatch?.(this.counts.baseline - 1)
    if (!this.#mirror) return
    const old = new Set(book?.staleMatches ?? [])
    if (current !== null) old.add(current)
    old.delete(mapped.match)
    for (const match of old) this.#sink.removal({ key, keyTexts, match, counted: false, book, renames: true })
  }

  /** Old match values that are still owed a removal; a rejection without anything behind it. */
  #unchangedOnBooks(row: WaitingRow, book: BookEntry, entry: SegmentCursor | null): void {
    const key = Buffer.from(row.keys.subarray(row.keyStart, row.keyEnd))
    const keyTexts = this.#reading.keyCodec.decode(key)
    const current = currentMatch(entry, keyTexts)
    const old = this.#mirror ? book.staleMatches.filter((match) => match !== current) : []
    if (book.staleMatches.includes(current)) this.#sink.currentAgain?.(key, current)
    const refusal = book.rejection
    if (old.length === 0 && refusal && refusal.class !== 'invalid') this.#sink.settled?.(key)
    if (refusal && refusal.fingerprint.equals(REMOVED) && !refusal.due && !this.#full) return
    for (const match of old) this.#sink.removal({ key, keyTexts, match, counted: false, book, renames: false })
  }

  /** Whoever takes over one of the key's match values has to wait for its lost request. */
  #doubt({ key, doubtMs, staleMatches }: BookEntry, entry: SegmentCursor | null): void {
    if (doubtMs === null || !this.#hasMatch) return
    const live = new Set(staleMatches)
    if (entry) live.add(currentMatch(entry, this.#reading.keyCodec.decode(key)))
    for (const match of live) this.#sink.mayStillWrite?.(key, match, doubtMs)
  }

  #twin(row: WaitingRow, bytes: Buffer, fingerprint: Uint8Array): void {
    const key = Buffer.from(row.keys.subarray(row.keyStart, row.keyEnd))
    const keyTexts = this.#reading.keyCodec.decode(key)
    this.#sink.invalid({ ...DUPLICATE_KEY, op: this.#twinOp, key, keyTexts, fingerprint, match: this.#mapped(bytes).match })
  }

  #nullKey(block: RowBlock, i: number): void {
    const bytes = block.rows.subarray(block.rowOffsets[i] ?? 0, block.rowOffsets[i + 1] ?? 0)
    const keyTexts = this.#reading.decodeKey(Buffer.from(bytes))
    const fingerprint = this.#fingerprint(bytes)
    this.#sink.invalid({ ...NULL_KEY, op: 'added', key: NO_BYTES, keyTexts, fingerprint, match: this.#mapped(bytes).match })
  }

  #mapped(bytes: Buffer): Mapped {
    return this.#map(this.#reading.decode(bytes))
  }

  /** Walks baseline and books up to a row (null: to their ends): keys there that no row of the model has. */
  async #absentBefore(row: WaitingRow | null): Promise<void> {
    for (;;) {
      const entry = this.#baseline?.current ?? null
      const entryDue = entry !== null && (row === null || entryOrder(entry, row) < 0)
      const book = this.#book
      const bookDue = book !== null && (row === null || bookOrder(book, row) < 0)
      if (!entryDue && !bookDue) return
      if (entryDue && this.#differences !== null && !this.#differences.hasLeft(entry)) {
        this.#didNotCome(entry)
        // Where the warehouse compares, every entry comes here: a promise for each held the event loop up for 150 ms.
        const stepped = this.#stepBaseline()
        if (stepped) await stepped
        continue
      }
      const order = !entryDue ? 1 : !bookDue ? -1 : compareBytes(entry.bytes, entry.keyStart, entry.keyEnd, book.key, 0, book.key.length)
      const key = order <= 0 && entry ? Buffer.from(entry.key) : (book?.key ?? NO_BYTES)
      this.#absent(key, order <= 0 ? entry : null, order >= 0 ? book : null)
      if (order <= 0) await this.#stepBaseline()
      if (order >= 0) await this.#nextBook()
      if (this.#sink.full) await this.#sink.drain()
    }
  }

  /** The warehouse proved that the row of this entry is unchanged. */
  #didNotCome(entry: SegmentCursor): void {
    if (this.#book?.key.equals(entry.key) === true && mustBeLookedAt(this.#book)) this.#differences?.hidden()
    this.counts.read++
    this.counts.unchanged++
    this.#sink.unchanged?.(this.counts.baseline - 1, NO_BYTES, 0, 0)
  }

  #absent(key: Buffer, entry: SegmentCursor | null, book: BookEntry | null): void {
    const refusal = book?.rejection ?? null
    const removalRefused = refusal !== null && refusal.fingerprint.equals(REMOVED)
    if (refusal && refusal.class !== 'invalid' && !removalRefused) this.#sink.settled?.(key)
    if (book !== null) this.#doubt(book, entry)
    if (!this.#mirror) {
      // Nobody wants it removed any more: the sync was a mirror when it was refused.
      if (removalRefused) this.#sink.settled?.(key)
      if (book?.doubtMs !== 0) return
      if (entry) this.#sink.unknown?.(key, this.#hasMatch ? currentMatch(entry, this.#reading.keyCodec.decode(key)) : null)
      else this.#sink.certain?.(key)
      return
    }
    const doubtful = book !== null && book.doubtMs !== null
    if (!entry && !doubtful && book?.staleMatches.length === 0) return
    if (removalRefused && !refusal.due && !this.#full) return
    if (removalRefused) this.counts.retried++
    const keyTexts = this.#reading.keyCodec.decode(key)
    const live: (string | null)[] = [...(book?.staleMatches ?? [])]
    if (entry || live.length === 0) live.unshift(this.#hasMatch ? currentMatch(entry, keyTexts) : null)
    for (const [index, match] of [...new Set(live)].entries())
      this.#sink.removal({ key, keyTexts, match, counted: index === 0, book, renames: false })
  }

  #stepBaseline(): Promise<void> | null {
    const more = this.#baseline?.next() ?? false
    if (typeof more !== 'boolean') return more.then(() => this.#stepped())
    this.#stepped()
    return null
  }

  #stepped(): void {
    const entry = this.#baseline?.current ?? null
    if (entry === null) return
    this.counts.baseline++
    this.#differences?.passed(entry)
  }

  async #nextBook(): Promise<void> {
    const next = await this.#books?.next()
    this.#book = !next || next.done === true ? null : next.value
  }
}

const NO_BYTES = Buffer.alloc(0)
const NULL_KEY = { code: 'null_key', field: null, message: 'the primary key is NULL' }
const DUPLICATE_KEY = {
  code: 'duplicate_key',
  field: null,
  message: 'another row of the model has the same primary key; none of them is sent',
}

function entryOrder({ bytes, keyStart, keyEnd }: SegmentCursor, row: WaitingRow): number {
  return compareBytes(bytes, keyStart, keyEnd, row.keys, row.keyStart, row.keyEnd)
}

function bookOrder({ key }: BookEntry, row: WaitingRow): number {
  return compareBytes(key, 0, key.length, row.keys, row.keyStart, row.keyEnd)
}

/** The match value that a record has at the destination: its entry's own; the key's text where it carries none or there is no entry. */
function currentMatch(entry: SegmentCursor | null, keyTexts: readonly string[]): string {
  return entry?.match ?? keyTexts[0] ?? ''
}
