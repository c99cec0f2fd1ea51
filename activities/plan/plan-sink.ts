import type { BookEntry } from '../../state/books.ts'
import type { NewRejection } from '../../state/settle.ts'
import { displayKey } from './batch.ts'

// What the pass over model, baseline and books finds, and who takes it.

/** A row that has to be sent. */
export interface PlannedRow {
  readonly op: 'added' | 'changed'
  readonly key: Buffer
  readonly keyTexts: readonly string[]
  readonly fingerprint: Uint8Array
  readonly fields: string
  readonly match: string | null
  readonly book: BookEntry | null
}

/** A record that should go, if no row of the model holds its match value. `counted` is false for old match values of a renamed record. */
export interface RemovalCandidate {
  readonly key: Buffer
  readonly keyTexts: readonly string[]
  readonly match: string | null
  readonly counted: boolean
  readonly book: BookEntry | null
  /** The row that now has another match value is planned by this run as well: its old record goes only after the new one is there. */
  readonly renames: boolean
}

export interface InvalidRow {
  /** What sending it would have been. */
  readonly op: 'added' | 'changed'
  /** Key bytes; empty where the key is NULL. */
  readonly key: Buffer
  readonly keyTexts: readonly (string | null)[]
  readonly fingerprint: Uint8Array
  readonly code: string
  readonly field: string | null
  readonly message: string
  /** It holds this match value all the same. */
  readonly match: string | null
}

/** What the books keep of a row that cannot be sent, by its key or, where that is NULL, its fingerprint. */
export function invalidRejection({ key, keyTexts, fingerprint, code, field, message }: InvalidRow): NewRejection {
  const own = Buffer.from(fingerprint)
  const shown = { key: displayKey(keyTexts), op: 'upsert', class: 'invalid', code, field, message, retryAfterMs: null }
  return { ...shown, id: key.length > 0 ? key : own, fingerprint: own }
}

/**
 * Takes what the pass finds, without waiting; when `full` is true the pass awaits `drain()` before it goes on. What a sink lacks it has
 * no use for.
 */
export interface PlanSink {
  readonly full: boolean
  drain(): Promise<void>
  planned(row: PlannedRow): void
  removal(candidate: RemovalCandidate): void
  invalid(row: InvalidRow): void
  /** A row that stays as it is; `ordinal` counts the baseline's entries from 0. Its bytes are valid during the call only. */
  unchanged?(ordinal: number, row: Buffer, start: number, end: number): void
  /** A planned row has the match value of its baseline entry still; `ordinal` as above. */
  keepsMatch?(ordinal: number): void
  /** A row that is not planned holds this match value. */
  holds?(match: string): void
  /** A rejection that nothing stands behind any more. */
  settled?(id: Buffer): void
  /** An old match value that is the record's current one again. */
  currentAgain?(key: Buffer, match: string): void
  /** A lost request of the key may write under the match value, or remove its record, for so long. */
  mayStillWrite?(key: Buffer, match: string, waitMs: number): void
  /** The key has left where nothing is removed, and what the destination has of it is not known: its baseline entry ends. */
  unknown?(key: Buffer, match: string | null): void
  /** The same, and there is no baseline entry: nothing is in doubt any more. */
  certain?(key: Buffer): void
  /** The warehouse's own hash of a row in this version. */
  hashed?(key: Buffer, fingerprint: Uint8Array, hash: string): void
}
