import type { RowBlock } from '../contract.ts'

const TAB = 9
const NEWLINE = 10
const MINUS = 45

/**
 * Takes the last field, the hash or the mark of a key that is gone, off each line of a block, in place: what is left of a row are
 * its canonical bytes. Pure but for that.
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
