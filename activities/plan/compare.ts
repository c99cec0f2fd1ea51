/** What a row of the model means for its record. `held`: refused in this very version, and not due again. */
export type RowDecision = 'unchanged' | 'added' | 'changed' | 'held'

export interface RowFacts {
  readonly inBaseline: boolean
  /** The baseline has this version. */
  readonly sameVersion: boolean
  /** The last send of this key has an unknown outcome. */
  readonly doubtful: boolean
  /** The run plans everything. */
  readonly full: boolean
  /** This very version was refused before: is another try due? */
  readonly refused: 'no' | 'due' | 'not_due'
}

/**
 * The four states of a row, decided per key (the fifth, removed, is a baseline key without a row). Doubt outranks the baseline:
 * after A, then B with unknown outcome, a row that is A again has to be looked at (invariant 4).
 */
export function decideRow(facts: RowFacts): RowDecision {
  const differs = !facts.sameVersion || facts.doubtful || facts.full
  if (!differs) return 'unchanged'
  if (facts.refused === 'not_due' && !facts.full && !facts.doubtful) return 'held'
  return facts.inBaseline ? 'changed' : 'added'
}
