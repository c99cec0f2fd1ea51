import type { TObject } from 'typebox'
import type { CanonicalText, Check, Column, Query } from './contract.ts'
import type { KeyCodec } from './keys.ts'

export interface ReadRequest {
  readonly query: Query
  /** Primary key columns, in the model's order. */
  readonly key: readonly string[]
  /** Columns to decode, name order; key columns may be among them. */
  readonly columns: readonly string[]
  /** The query is ended in the warehouse on abort, unless `handle.leave` says otherwise. */
  readonly signal: AbortSignal
  /** Who asks (sync, run, step): shown in the warehouse's own query log, if it has one. */
  readonly label?: Readonly<Record<string, string>>
  /** Where the warehouse keeps results: lets a later attempt of the same read go on with its query. */
  readonly handle?: QueryHandle
}

/**
 * The name of a query that outlives the process which asked it. A result that the warehouse has lost meanwhile is forgotten and
 * thrown as `expired`; the attempt after that asks anew.
 */
export interface QueryHandle {
  /** What an earlier attempt left; null: none did. */
  readonly known: string | null
  /** Writes it down: before the warehouse is asked, and again with what it answered. Null: nothing is left to go on with. */
  keep(handle: string | null): Promise<void>
  /** Asked on abort: a later attempt will go on with the query, so it must stay. */
  leave(): boolean
}

/** Some consecutive rows in key order. Valid until the next block is asked for. */
export interface RowBlock {
  readonly length: number
  /** Order-preserving key bytes, concatenated; key i is `keys[keyOffsets[i]..keyOffsets[i+1])`. */
  readonly keys: Buffer
  readonly keyOffsets: Uint32Array
  /** Rows with a NULL in the primary key, wherever they stand; their key slice is empty. */
  readonly nullKeys: ReadonlySet<number> | null
  /** Canonical row bytes (key and columns), concatenated; equal bytes mean an equal row. */
  readonly rows: Buffer
  readonly rowOffsets: Uint32Array
  /** Only where the warehouse compared: its own hash of each row. */
  readonly hashes?: readonly string[]
  /** Only where the warehouse compared: these stand for keys that left the model; nothing but their key means anything. */
  readonly gone?: ReadonlySet<number>
}

export interface Reading {
  readonly keyCodec: KeyCodec
  /**
   * Blocks in ascending key order. Ends only when every row that the warehouse declared was seen; a short read, a lost
   * connection or an abort throws. Not restartable: a retry reads anew.
   */
  blocks(): AsyncIterable<RowBlock>
  /** Texts of the request's `columns`, in that order, out of one row's canonical bytes. */
  decode(row: Buffer): CanonicalText[]
  /** Texts of the key columns, in the key's order; null where NULL. */
  decodeKey(row: Buffer): CanonicalText[]
}

export interface Source {
  check(signal: AbortSignal): Promise<Check>
  /** Columns of the model without running it to its end. Throws `query` for SQL errors, `config` for two statements. */
  describe(query: Query, signal: AbortSignal): Promise<Column[]>
  /** Opens one consistent snapshot. Throws `config` for a column that is not there and for a key type that has no order. */
  read(request: ReadRequest): Promise<Reading>
  /** Comparing inside the warehouse; absent where the configuration names no `plannerSchema`. Fails as `read` does. */
  compareInWarehouse?(request: ReadRequest, sync: string): Promise<WarehouseComparison>
}

/**
 * A copy of a sync's baseline in a schema of ours in the warehouse: for each key that the ledger acknowledged, the version and the
 * warehouse's own hash of that row, where it is known. It proves which rows need not be looked at, and decides nothing else.
 * Used in this order: `standing`, `advance`, `read`. Whatever it holds open is closed by the request's signal or by the end of reading.
 */
export interface WarehouseComparison {
  readonly keyCodec: KeyCodec
  /** Seq up to which the copy holds what the ledger acknowledged; null: there is none of this identity. */
  standing(identity: CopyIdentity): Promise<number | null>
  /**
   * Brings the copy from where `standing` found it to `to`, in one transaction; from null: makes it anew. Throws `source` if it stands
   * elsewhere by now, `config` where grants are missing.
   */
  advance(change: CopyChange): Promise<void>
  /** Only rows that the copy does not prove to be unchanged, and keys that it has and the model has not; in key order. */
  read(): Promise<DifferenceReading>
  /** The copy turned out to be wrong: makes it unusable, so that the next one is made anew. */
  forget(): Promise<void>
}

/** A copy made for another identity proves nothing. */
export interface CopyIdentity {
  readonly generation: number
  readonly mappingId: string
}

/** First 8 bytes of a fingerprint: with the key, enough to tell versions of one row apart. */
export type VersionMark = bigint

export interface CopyChange {
  readonly identity: CopyIdentity
  readonly from: number | null
  readonly to: number
  /** What the ledger acknowledged after `from`, one entry a key; null: its removal. */
  readonly acknowledged: AsyncIterable<readonly { readonly key: Buffer; readonly version: VersionMark | null }[]>
  /** Hashes that earlier readings gave, with the versions they belong to; a pair holds whether or not it was ever acknowledged. */
  readonly hashes: AsyncIterable<readonly { readonly key: Buffer; readonly version: VersionMark; readonly hash: string }[]>
  /** Keys that must be looked at whatever their row is. */
  readonly watched: AsyncIterable<readonly Buffer[]>
}

export interface DifferenceReading extends Reading {
  /** The copy that the model was compared with, of the same snapshot. To be asked once the blocks have ended. */
  copied(): CopyTotals
}

/** How many keys a copy has, and the sum of their version marks. */
export interface CopyTotals {
  readonly size: number
  readonly sum: bigint
}

export interface SourceConnector {
  readonly slug: string
  readonly title: string
  /** Every config field; unknown ones are refused by the resource schema. */
  readonly config: TObject
  /** Dotted paths of config fields that may only be `${env:…}` or `${file:…}` references. */
  readonly secrets: readonly string[]
  /** `config` has its references resolved. Opens nothing yet: connections are made per call and closed by it. */
  open(config: Record<string, unknown>): Source
}
