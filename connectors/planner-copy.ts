import { createHash } from 'node:crypto'
import type { CopyIdentity, RowBlock } from './source-contract.ts'
import type { KeyCodec } from './keys.ts'

/** Pure: what comparing inside a warehouse has in common, whatever the warehouse. */

/** The part of a table's name that stands for a sync, whose name may be longer than a table's. */
export function copySuffix(sync: string): string {
  return createHash('sha256').update(sync).digest('hex').slice(0, 16)
}

/** What a copy was made for, as text: another one is no copy. `version` says what it holds and how that is hashed. */
export function identityText(version: string, { generation, mappingId }: CopyIdentity, { signature }: KeyCodec): string {
  return [version, generation, mappingId, signature].join('/')
}

const TAB = 9
const NEWLINE = 10
const MINUS = 45

/**
 * Takes the last field, the hash or `-` for a key that is gone, off each line of a block, in place: what is left of a row are its
 * canonical bytes. Pure but for that.
 */
export function takeHashes(block: RowBlock): RowBlock {
  const { rows, rowOffsets, length } = block
  const offsets = new Uint32Array(length + 1)
  const hashes: string[] = []
  const gone = new Set<number>()
  let at = 0
  for (let i = 0; i < length; i++) {
    const [start, end] = [rowOffsets[i] ?? 0, rowOffsets[i + 1] ?? 0]
    let tab = end - 2
    while (rows[tab] !== TAB) tab--
    const isGone = rows[tab + 1] === MINUS && rows[tab + 2] === NEWLINE
    hashes.push(isGone ? '' : rows.toString('latin1', tab + 1, end - 1))
    if (isGone) gone.add(i)
    rows[tab] = NEWLINE
    rows.copyWithin(at, start, tab + 1)
    at += tab + 1 - start
    offsets[i + 1] = at
  }
  return { ...block, rows: rows.subarray(0, at), rowOffsets: offsets, hashes, gone }
}
