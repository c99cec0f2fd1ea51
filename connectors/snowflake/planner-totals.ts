import type { CopyTotals, RowBlock } from '../source-contract.ts'
import { ConnectorError } from '../errors.ts'
import { takeHashes } from '../planner-copy.ts'
import { TOTALS } from './planner-sql.ts'

/** The last line of a comparison, which is no row. */
export class Totals {
  #copied: CopyTotals | null = null

  /** Throws where the line has not come: a result that lacks rows throws before. */
  get copied(): CopyTotals {
    if (this.#copied === null) throw new ConnectorError('source', 'Snowflake did not say which copy it compared with')
    return this.#copied
  }

  /** The rows of a block, as they were without comparing. */
  takeOff(block: RowBlock): RowBlock | null {
    const last = block.length - 1
    const line = block.rows.toString('latin1', block.rowOffsets[last] ?? 0, block.rowOffsets[block.length] ?? 0)
    const [size, sum] = line.slice(line.lastIndexOf('\t') + 1).startsWith(TOTALS) ? line.slice(line.lastIndexOf(TOTALS) + 1).split(',') : []
    if (size === undefined || sum === undefined) return takeHashes(block)
    this.#copied = { size: Number(size), sum: BigInt(sum.trim()) }
    return last === 0 ? null : takeHashes({ ...block, length: last })
  }
}
