import type pg from 'pg'
import type { Destination } from '../../connectors/contract.ts'
import type { Reading } from '../../connectors/source-contract.ts'
import { BaselineReader } from '../../state/baseline.ts'
import { readBooks, type BookEntry } from '../../state/books.ts'
import type { PlannedGeneration } from '../../state/fence.ts'
import { matchColumn, type RunDefinition } from '../definition.ts'
import type { Differences } from './differences.ts'
import { fingerprinter } from './fingerprint.ts'
import { compileMapping, type RowMapper } from './map.ts'
import { ComparePass } from './pass.ts'
import type { PlanSink } from './plan-sink.ts'

/** What a pass over a model needs, opened once for plan, preview and adopt alike. */
export interface PassGround {
  readonly reading: Reading
  readonly destination: Destination
  readonly map: RowMapper
  readonly fingerprint: (row: Uint8Array) => Uint8Array
  /** The sync has a match field and it is the integer key itself: baseline entries need not carry it. */
  readonly matchIsKey: boolean
  readonly hasMatch: boolean
}

export async function openGround(definition: RunDefinition, reading: Reading, destination: Destination): Promise<PassGround> {
  const map = compileMapping({ spec: definition.spec, columns: definition.columns, fields: definition.fields, destination })
  const hasMatch = definition.spec.match !== undefined
  const [onlyKey] = definition.primaryKey
  const integerKey = reading.keyCodec.signature === 'int64'
  return {
    reading,
    destination,
    map,
    hasMatch,
    matchIsKey: hasMatch && integerKey && matchColumn(definition.spec) === onlyKey,
    fingerprint: await fingerprinter(definition.mappingId),
  }
}

/** One REPEATABLE READ snapshot of the state database for everything that a plan reads of it. */
export async function withSnapshot<T>(db: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await db.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const result = await work(client)
    await client.query('commit')
    client.release()
    return result
  } catch (error) {
    // Cursors may be open and a query under way: the connection is not worth saving.
    client.release(true)
    throw error
  }
}

/** The pass over model, baseline and books within a snapshot. */
export function comparePass(
  ground: PassGround,
  sink: PlanSink,
  {
    client,
    definition,
    generation,
    fresh,
    full,
    differences = null,
  }: PlannedGeneration & { client: pg.PoolClient; definition: RunDefinition; full: boolean; differences?: Differences | null },
): ComparePass {
  const baseline = new BaselineReader(client, { sync: definition.sync, generation, cursorName: 'baseline' })
  const books: AsyncIterator<BookEntry> | null = fresh ? null : readBooks(client, definition.sync)
  return new ComparePass({
    reading: ground.reading,
    baseline,
    books,
    sink,
    map: ground.map,
    fingerprint: ground.fingerprint,
    full,
    mirror: definition.spec.mode === 'mirror',
    hasMatch: ground.hasMatch,
    differences,
  })
}
