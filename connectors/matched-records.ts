import type { PlannedRecord, ReadBack, WriteRequest } from './contract.ts'
import { ConnectorError } from './errors.ts'

/** Pure: planned records for destinations that tell their records apart by a match field. */

export type Scalar = string | number | boolean | null

/** A planned record, read from its frozen line. */
export interface MatchedRecord<Value extends Scalar> {
  readonly id: string
  readonly op: PlannedRecord['op']
  /** The match value as it is sent, and as the destination compares it. */
  readonly match: string
  readonly folded: string
  /** Mapped names to encoded values, the match field included. */
  readonly fields: Readonly<Record<string, Value>>
}

/** Throws `config` for a sync that names none. */
export function matchFieldOf({ match, sync }: WriteRequest, system: string): string {
  if (match === null) throw new ConnectorError('config', `a ${system} sync needs a match field (sync ${sync})`)
  return match
}

/**
 * Reads the lines of a batch. Throws `refused`, so that the batch is split, when two of its records name the same record (in one call
 * they would fail, or the whole call) or when it mixes writes and deletes; `config` when a line lacks the match field.
 */
export function readMatched<Value extends Scalar>(
  records: readonly PlannedRecord[],
  match: string,
  { value, fold }: { readonly value: (json: unknown) => Value; readonly fold: (match: string) => string },
): MatchedRecord<Value>[] {
  const seen = new Set<string>()
  return records.map(({ id, op, line }) => {
    const fields = readFields(line, value)
    const own = String(fields[match] ?? '')
    if (own === '') throw new ConnectorError('config', `a planned record has no value for the match field ${match}; map it and plan again`)
    const folded = fold(own)
    if (seen.has(folded)) throw new ConnectorError('refused', `two records of the batch have the same ${match}; a call takes one of them`)
    if (op !== records[0]?.op) throw new ConnectorError('refused', 'the batch mixes writes and deletes; there are separate calls for them')
    seen.add(folded)
    return { id, op, match: own, folded, fields }
  })
}

/** The fields of a line as they stand in it. */
export function readFields<Value extends Scalar>(line: string, value: (json: unknown) => Value): Record<string, Value> {
  const { fields } = JSON.parse(line) as { fields: Record<string, unknown> }
  // In place: a copy of every record is a third of what building a CSV costs.
  for (const name of Object.keys(fields)) fields[name] = value(fields[name])
  return fields as Record<string, Value>
}

/** What there is of each record, by a look-up of their match values. */
export async function readBackBy<Value extends Scalar, Found>(
  records: readonly MatchedRecord<Value>[],
  lookUp: () => Promise<ReadonlyMap<string, Found>>,
  judge: (record: MatchedRecord<Value>, found: Found | undefined) => ReadBack,
): Promise<Map<string, ReadBack>> {
  const found = await lookUp().catch((error: unknown) => {
    // A match value that the destination will not even look up: no record has it, and sending it again brings the refusal to light.
    if (error instanceof ConnectorError && error.kind === 'refused' && records.length === 1) return null
    throw error
  })
  if (found === null) return new Map(records.map(({ id, op }) => [id, op === 'delete' ? 'differs' : 'absent']))
  return new Map(records.map((record) => [record.id, judge(record, found.get(record.folded))]))
}
