import type pg from 'pg'
import { SegmentCursor, type PackedSegment } from './segment.ts'

/** Entries whose match value is the warehouse's hash of that version; they need not be in order. */
export async function keepHashes(client: pg.ClientBase, sync: string, blocks: readonly PackedSegment[]): Promise<void> {
  if (blocks.length === 0) return
  await client.query('insert into warehouse_hash (sync, size, entries) select $1, * from unnest($2::int[], $3::bytea[])', [
    sync,
    blocks.map((block) => block.size),
    blocks.map((block) => block.entries),
  ])
}

/** The id of the last block there is; 0: none. */
export async function lastHashes(client: pg.ClientBase, sync: string): Promise<number> {
  const { rows } = await client.query<{ id: number | null }>('select max(id) as id from warehouse_hash where sync = $1', [sync])
  return rows[0]?.id ?? 0
}

/** Blocks up to an id, in order, one at a time. Within a transaction of its own snapshot. */
export async function* readHashes(client: pg.ClientBase, sync: string, upTo: number): AsyncGenerator<SegmentCursor> {
  for (let after = 0; after < upTo;) {
    const { rows } = await client.query<{ id: number; entries: Buffer }>(
      'select id, entries from warehouse_hash where sync = $1 and id > $2 and id <= $3 order by id limit 20',
      [sync, after, upTo],
    )
    for (const { entries } of rows) yield new SegmentCursor(entries)
    after = rows.at(-1)?.id ?? upTo
  }
}

/** Once the warehouse holds them. */
export async function dropHashes(db: pg.Pool, sync: string, upTo: number): Promise<void> {
  await db.query('delete from warehouse_hash where sync = $1 and id <= $2', [sync, upTo])
}
