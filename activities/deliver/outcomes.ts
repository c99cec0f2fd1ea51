import type { RecordOutcome } from '../../connectors/contract.ts'
import type { ClaimedBatch } from '../../state/ledger.ts'
import { subset, unpack } from '../../state/segment.ts'
import type { NewRejection, Settlement } from '../../state/settle.ts'
import { RETRY_AFTER_MS } from './retry-policy.ts'

/** Null: the record was not to be sent after all (an old match value whose row could not be delivered); it leaves no trace. */
export type FinalOutcome = RecordOutcome | null

/** What a destination's answers say of a record. Silence is never success: what they do not mention is in doubt (invariant 8). */
export function answerById(answers: readonly RecordOutcome[]): (id: string) => RecordOutcome {
  const answered = new Map(answers.map((outcome) => [outcome.id, outcome]))
  return (id) => answered.get(id) ?? { id, status: 'in_doubt' }
}

/**
 * What a batch's outcomes, one per record in order, mean for ledger, baseline and books; `open` are the positions that are not
 * settled yet. Pure.
 */
export function settlementOf(
  batch: Pick<ClaimedBatch, 'id' | 'attempt' | 'ops' | 'entries' | 'onBooks'>,
  lines: readonly string[],
  outcomes: readonly FinalOutcome[],
): { settlement: Omit<Settlement, 'sync' | 'generation' | 'child'>; open: { index: number; inDoubt: boolean }[] } {
  const counts = { delivered: 0, skipped: 0, rejected: 0 }
  const exceptions: NonNullable<Settlement['outcomes']> = {}
  const open: { index: number; inDoubt: boolean }[] = []
  const rejections: NewRejection[] = []
  const acknowledged = new Set<number>()
  const done = new Set<number>()
  let entries: ReturnType<typeof unpack> | null = null
  for (const [index, outcome] of outcomes.entries()) {
    const counted = batch.ops[index] !== 'x'
    if (outcome === null) {
      exceptions[index] = { outcome: 'dropped' }
    } else if (outcome.status === 'delivered' || outcome.status === 'skipped') {
      done.add(index)
      if (counted) {
        counts[outcome.status]++
        acknowledged.add(index)
      }
      if (outcome.status === 'skipped') exceptions[index] = { outcome: 'skipped' }
    } else if (outcome.status === 'rejected') {
      if (counted) counts.rejected++
      exceptions[index] = { outcome: 'rejected', code: outcome.code, message: outcome.message }
      entries ??= unpack(batch.entries)
      const entry = entries[index]
      // A key may have several removals in a batch (its record and old match values); it is one rejection.
      if (entry && !rejections.some(({ id }) => id.equals(entry.key))) rejections.push(rejectionOf(outcome, entry, lines[index] ?? ''))
    } else {
      exceptions[index] = { outcome: 'child' }
      open.push({ index, inDoubt: outcome.status === 'in_doubt' })
    }
  }
  const whole = acknowledged.size === outcomes.length
  const part = !whole && acknowledged.size > 0 ? subset(batch.entries, (index) => acknowledged.has(index)) : null
  const closed = batch.onBooks ? unpack(batch.entries).filter((_, index) => done.has(index)) : []
  return {
    open,
    settlement: {
      id: batch.id,
      attempt: batch.attempt,
      ...counts,
      acknowledged: whole ? 'all' : part,
      outcomes: Object.keys(exceptions).length > 0 ? exceptions : null,
      rejections,
      closed: {
        keys: closed.map(({ key }) => key),
        matches: closed.flatMap(({ key, match }) => (match === null ? [] : [{ key, match }])),
      },
    },
  }
}

function rejectionOf(
  outcome: Extract<RecordOutcome, { status: 'rejected' }>,
  entry: { key: Buffer; fingerprint: Buffer },
  line: string,
): NewRejection {
  const record = JSON.parse(line) as { key: string | string[]; op: string }
  return {
    id: Buffer.from(entry.key),
    key: record.key,
    op: record.op,
    fingerprint: Buffer.from(entry.fingerprint),
    class: outcome.class,
    code: outcome.code,
    field: outcome.field,
    message: outcome.message,
    retryAfterMs: RETRY_AFTER_MS[outcome.class],
  }
}
