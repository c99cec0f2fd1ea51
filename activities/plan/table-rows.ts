import type { DoubtRow, EndingRow, MatchRow, PlanTables, RemovalRow } from '../../state/plan-tables.ts'

const ROWS_A_WRITE = 2000

/** Rows for the plan's temporary tables, gathered until they are worth a statement each. */
export class TableRows {
  readonly matches: MatchRow[] = []
  readonly removals: RemovalRow[] = []
  readonly doubts: DoubtRow[] = []
  readonly endings: EndingRow[] = []

  get full(): boolean {
    return (
      this.matches.length >= ROWS_A_WRITE ||
      this.removals.length >= ROWS_A_WRITE ||
      this.doubts.length >= ROWS_A_WRITE ||
      this.endings.length >= ROWS_A_WRITE
    )
  }

  async write(tables: PlanTables): Promise<void> {
    await tables.addMatches(this.matches)
    await tables.addRemovals(this.removals)
    await tables.addDoubts(this.doubts)
    await tables.addEndings(this.endings)
  }
}
