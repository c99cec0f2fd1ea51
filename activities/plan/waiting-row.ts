/** A row of the model that waits until its neighbour was seen: two of a key are twins. */
export interface WaitingRow {
  keys: Buffer
  keyStart: number
  keyEnd: number
  rows: Buffer
  rowStart: number
  rowEnd: number
  hash: string | null
  /** Whether another row has the same key, and came before it. */
  twin: 'none' | 'first' | 'later'
}

/** A block is valid until the next one is asked for. */
export function ownCopy(row: WaitingRow): WaitingRow {
  const keys = Buffer.from(row.keys.subarray(row.keyStart, row.keyEnd))
  const rows = Buffer.from(row.rows.subarray(row.rowStart, row.rowEnd))
  return { keys, keyStart: 0, keyEnd: keys.length, rows, rowStart: 0, rowEnd: rows.length, hash: row.hash, twin: row.twin }
}
