import type pg from 'pg'
import { BaselineReader } from './baseline.ts'
import { SegmentWriter, type PackedSegment } from './segment.ts'

const KEYS_A_BLOCK = 1000
const BLOCKS_AN_INSERT = 100

/** Overlay keys above a fifth of the base, or 200 overlay segments: rewriting costs 0.84 s per 1M keys, carrying on costs a merge step a key. */
const MAX_OVERLAY_SHARE = 0.2
const MAX_OVERLAY_SEGMENTS = 200

/** Whether enough was laid over the compacted part of the baseline (seq ≤ compactedSeq) to rewrite it. Pure. */
export function compactionDue(size: { base: number; overlay: number; overlaySegments: number }): boolean {
  if (size.overlaySegments > MAX_OVERLAY_SEGMENTS) return true
  return size.overlaySegments > 1 && size.overlay > size.base * MAX_OVERLAY_SHARE
}

/** Entries and segments of a generation on both sides of `compactedSeq`. */
export async function baselineSize(
  db: pg.Pool | pg.ClientBase,
  sync: string,
  generation: number,
  compactedSeq: number,
): Promise<{ base: number; overlay: number; overlaySegments: number }> {
  const { rows } = await db.query<{ base: number; overlay: number; overlaySegments: number }>(
    `select coalesce(sum(size) filter (where seq <= $3), 0) as base,
            coalesce(sum(size) filter (where seq > $3), 0) as overlay,
            count(*) filter (where seq > $3) as "overlaySegments"
     from baseline_segment where sync = $1 and generation = $2`,
    [sync, generation, compactedSeq],
  )
  return rows[0] ?? { base: 0, overlay: 0, overlaySegments: 0 }
}

/**
 * Rewrites a generation as disjoint blocks, in one transaction. Its snapshot is what it reads and what it deletes: a segment
 * settled meanwhile is in neither. Repeatable; the merged baseline is the same before and after. `beat` is called now and then.
 */
export async function compactBaseline(client: pg.ClientBase, sync: string, generation: number, beat: () => void): Promise<void> {
  await client.query('begin isolation level repeatable read')
  try {
    // The least seq that was read: whatever this snapshot does not see was settled later and has to win.
    const { rows } = await client.query<{ seq: number | null }>(
      'select min(seq) as seq from baseline_segment where sync = $1 and generation = $2',
      [sync, generation],
    )
    const seq = rows[0]?.seq ?? 0
    const reader = new BaselineReader(client, { sync, generation, cursorName: 'compaction' })
    let more = await reader.next()
    // The open cursor goes on seeing what is deleted here; the new blocks need the room in the primary key.
    await client.query('delete from baseline_segment where sync = $1 and generation = $2', [sync, generation])
    let blocks: PackedSegment[] = []
    let writer = new SegmentWriter(reader.current?.hasMatch ?? false)
    const flush = async (least: number) => {
      const block = writer.take()
      if (block) blocks.push(block)
      if (blocks.length < least) return
      await insertSegments(client, { sync, generation, seq, blocks })
      blocks = []
      beat()
    }
    for (; more && reader.current; more = await reader.next()) {
      const entry = reader.current
      if (entry.hasMatch !== writer.hasMatch || writer.size >= KEYS_A_BLOCK) {
        await flush(BLOCKS_AN_INSERT)
        if (entry.hasMatch !== writer.hasMatch) writer = new SegmentWriter(entry.hasMatch)
      }
      writer.add(entry.key, entry.fingerprint, entry.match)
    }
    await flush(0)
    await client.query('update sync_state set compacted_seq = $2 where sync = $1', [sync, seq])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/** Writes packed segments under one seq. */
export async function insertSegments(
  client: pg.ClientBase,
  { sync, generation, seq, blocks }: { sync: string; generation: number; seq: number; blocks: readonly PackedSegment[] },
): Promise<void> {
  if (blocks.length === 0) return
  await client.query(
    `insert into baseline_segment (sync, generation, seq, first_key, last_key, size, entries)
     select $1, $2, $3, * from unnest($4::bytea[], $5::bytea[], $6::int[], $7::bytea[])`,
    [
      sync,
      generation,
      seq,
      blocks.map((b) => b.firstKey),
      blocks.map((b) => b.lastKey),
      blocks.map((b) => b.size),
      blocks.map((b) => b.entries),
    ],
  )
}
