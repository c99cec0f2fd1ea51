import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { DuckDBPreparedStatement } from '@duckdb/node-api'

const compress = promisify(gzip)

/** The first rows travel in the answer itself; then chunks grow to what the session allows. */
const INLINE_ROWS = 50
const FIRST_CHUNK_BYTES = 256 * 1024

export interface Chunk {
  readonly body: Buffer
  readonly rowCount: number
  readonly uncompressedSize: number
}

export interface StoredResult {
  readonly rowset: readonly (string | null)[][]
  readonly chunks: readonly Chunk[]
  readonly total: number
}

/** Runs a statement to its end and keeps its rows as Snowflake keeps them: JSON rows without the outer brackets, gzipped. */
export async function storeResult(statement: DuckDBPreparedStatement, maxChunkBytes: number): Promise<StoredResult> {
  const rowset: (string | null)[][] = []
  const chunks: Chunk[] = []
  let rows: string[] = []
  let bytes = 0
  let total = 0
  const cut = async (): Promise<void> => {
    const text = rows.join(',')
    chunks.push({ body: await compress(text, { level: 1 }), rowCount: rows.length, uncompressedSize: Buffer.byteLength(text) })
    rows = []
    bytes = 0
  }
  const stream = await statement.stream()
  for (let block = await stream.fetchChunk(); block !== null && block.rowCount > 0; block = await stream.fetchChunk()) {
    for (const row of block.getRows()) {
      total++
      const cells = row.map((cell) => (cell === null ? null : String(cell)))
      if (rowset.length < INLINE_ROWS) {
        rowset.push(cells)
        continue
      }
      const text = JSON.stringify(cells)
      rows.push(text)
      bytes += text.length
      if (bytes >= Math.min(maxChunkBytes, FIRST_CHUNK_BYTES * 2 ** chunks.length)) await cut()
    }
  }
  if (rows.length > 0) await cut()
  return { rowset, chunks, total }
}

/** The same chunk without its last row; its declared count stays. */
export async function shortened(body: Buffer, inflate: (body: Buffer) => Promise<Buffer>): Promise<Buffer> {
  const rows = JSON.parse(`[${(await inflate(body)).toString()}]`) as unknown[]
  return compress(JSON.stringify(rows.slice(0, -1)).slice(1, -1))
}
