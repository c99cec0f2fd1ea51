import assert from 'node:assert/strict'
import type { CanonicalText, Query } from '../../connectors/contract.ts'
import type { Reading, ReadRequest, Source } from '../../connectors/source-contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'

/** What a table of the suite may hold; the fixture knows the warehouse's own type for it. */
export type LogicalType = 'integer' | 'decimal' | 'float' | 'boolean' | 'text' | 'timestamptz' | 'timestamp' | 'date' | 'json' | 'bytes'

export interface TableSpec {
  readonly columns: Readonly<Record<string, LogicalType>>
  /** Canonical texts, in the columns' order. */
  readonly rows: readonly (readonly CanonicalText[])[]
}

/** One warehouse for the suite, made anew for it. */
export interface SourceFixture {
  readonly source: Source
  /** The same source, opened anew. */
  reopen(): Source
  /** Nothing listens there. */
  readonly unreachable: Source
  /** The warehouse is there and does not let us in. */
  readonly refused: Source
  /** Texts that no message may hold. */
  readonly secrets: readonly string[]
  /** Types that can be a primary key, with values out of order. */
  readonly keyTypes: Readonly<Partial<Record<LogicalType, readonly string[]>>>
  readonly badKeyType: LogicalType
  /** Values of a type, where the warehouse's own cannot hold the suite's. */
  readonly values?: Readonly<Partial<Record<LogicalType, readonly string[]>>>
  /** A new table, or one in the place of an earlier one: its query stays the same then. */
  table(spec: TableSpec, replaced?: Query): Promise<Query>
  /** How much a read's memory may grow by, where the vendor's driver takes more than the suite's 150 MB. */
  readonly readMemoryBytes?: number
  /** So many rows: integer `id` from 1, text `filler` of 2,000 bytes. */
  many(rows: number): Query
  /** One integer column `id`; its first row takes a minute. */
  readonly slow: Query
  /** `where` is what the message says of the place, if the warehouse tells. */
  readonly broken: { readonly query: Query; readonly where: string | null }
  /** Fails on a row whose value is `private-value`. */
  readonly badRow: Query
  /** The second one would take minutes. */
  readonly twoStatements: Query
  /** How many queries the warehouse works on for the source. */
  running(): Promise<number>
  /** Ends them as a failing server would. */
  loseConnections(): Promise<void>
  close(): Promise<void>
}

export interface ReadRow {
  /** Hex; null for a key with a NULL in it. */
  readonly key: string | null
  /** Canonical row bytes, hex. */
  readonly row: string
  readonly keyTexts: readonly CanonicalText[]
  readonly values: readonly CanonicalText[]
}

/** A request for some columns of a query by some key; `signal` never fires unless given. */
export function request(
  query: Query,
  key: readonly string[],
  columns: readonly string[],
  signal = new AbortController().signal,
): ReadRequest {
  return { query, key, columns, signal }
}

/** All rows of a read that is small enough to be kept. */
export async function readAll(source: Source, asked: ReadRequest): Promise<{ reading: Reading; rows: ReadRow[] }> {
  const reading = await source.read(asked)
  const rows: ReadRow[] = []
  for await (const block of reading.blocks()) {
    assert.ok(block.length > 0)
    for (let i = 0; i < block.length; i++) {
      const row = Buffer.from(block.rows.subarray(block.rowOffsets[i], block.rowOffsets[i + 1]))
      const key = block.keys.toString('hex', block.keyOffsets[i], block.keyOffsets[i + 1])
      const isNull = block.nullKeys?.has(i) === true
      if (isNull) assert.equal(key, '')
      rows.push({ key: isNull ? null : key, row: row.toString('hex'), keyTexts: reading.decodeKey(row), values: reading.decode(row) })
    }
  }
  return { reading, rows }
}

/** The ConnectorError that it must end with. */
export async function failure(work: Promise<unknown>): Promise<ConnectorError> {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof ConnectorError, `not a ConnectorError: ${String(error)}`)
    return error
  }
  assert.fail('it did not fail')
}
