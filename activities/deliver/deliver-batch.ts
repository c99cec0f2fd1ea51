import type { Destination, PlannedRecord, RecordOutcome, WriteRequest } from '../../connectors/contract.ts'
import { ConnectorError, ERROR_KINDS } from '../../connectors/errors.ts'
import { outlastOutage } from '../../state/away.ts'
import { claimBatch, refusedInRun, releaseBatch, renewClaim, type ClaimedBatch, type OpenBatch } from '../../state/ledger.ts'
import { unpack } from '../../state/segment.ts'
import { settleBatch, splitBatch, type ChildBatch } from '../../state/settle.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { effect } from '../failpoints.ts'
import { partOf, unpackLines } from '../plan/batch.ts'
import { Gate, MAX_CLAIM_AGE_MS } from './gate.ts'
import { answerById, settlementOf, type FinalOutcome } from './outcomes.ts'
import { backoffMs } from './retry-policy.ts'

/** What became of one try at a batch. Not done: it is still open, for a reason that the error names, or its halves stand for it. */
export type BatchTry =
  | { readonly done: true; readonly rejected: boolean }
  | {
      readonly done: false
      readonly error: ConnectorError | null
      readonly waitMs: number
      readonly halves?: readonly OpenBatch[]
      /** Some of its records were refused; others are open. */
      readonly rejected?: boolean
    }

/** How long a settle is tried while the state database is away; after that the activity fails and the batch is in doubt. */
const SETTLE_PATIENCE_MS = 60_000

export interface DeliveryGround {
  readonly deps: Deps
  readonly definition: RunDefinition
  readonly generation: number
  readonly destination: Destination
  readonly signal: AbortSignal
}

/** When a batch that was left in doubt by a dead or frozen worker may be looked at: its request was aborted and cannot take effect any more. */
export function quietMs(destination: Destination): number | null {
  return destination.readBack ? destination.timeoutMs + destination.lostRequestMs + MAX_CLAIM_AGE_MS : null
}

/** How long the batch has to be left alone now. */
export function waitBeforeClaimMs(batch: OpenBatch, destination: Destination): number {
  const quiet = quietMs(destination)
  if (batch.abandoned && quiet !== null && batch.sentAgoMs !== null) return Math.max(batch.waitMs, quiet - batch.sentAgoMs)
  return batch.waitMs
}

/** What a try at a batch brought, before anything of it is settled. `claimed: null`: nothing was sent. */
export type Attempt =
  | { readonly claimed: null; readonly error: ConnectorError | null }
  | {
      readonly batch: OpenBatch
      readonly claimed: ClaimedBatch
      readonly lines: readonly string[]
      readonly outcomes: readonly FinalOutcome[] | ConnectorError
    }

/** Claim → read back if doubtful → send. Throws only when the state database is away or our own code is wrong. */
export async function attemptBatch(ground: DeliveryGround, batch: OpenBatch): Promise<Attempt> {
  const { deps, destination } = ground
  const gate = new Gate(deps.db, destination, ground.signal)
  try {
    await gate.prepay()
  } catch (error) {
    if (error instanceof ConnectorError) return { claimed: null, error }
    throw error
  }
  const claimedAtMs = performance.now()
  const claimed = await effect('claim', () => claimBatch(deps.db, batch, destination.account))
  if (!claimed) return { claimed: null, error: null }
  gate.guard({ claimedAtMs, renew: () => effect('renew', () => renewClaim(deps.db, claimed)) })
  const attempt = { batch, claimed, lines: unpackLines(claimed.payload) }
  try {
    return { ...attempt, outcomes: await sendClaimed(ground, gate, claimed, attempt.lines, batch) }
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    return { ...attempt, outcomes: error }
  }
}

/** Everything is at the destination: nothing of it may keep other batches from being sent. */
export function wentWell({ claimed, ...attempt }: Attempt): boolean {
  if (claimed === null || !('outcomes' in attempt) || attempt.outcomes instanceof ConnectorError) return false
  return attempt.outcomes.every((outcome) => outcome?.status === 'delivered' || outcome?.status === 'skipped')
}

/** Writes down what became of an attempt. Throws only when the state database stays away or our own code is wrong. */
export async function settleAttempt(ground: DeliveryGround, attempt: Attempt, failures: number): Promise<BatchTry> {
  const { deps, destination } = ground
  if (attempt.claimed === null) return { done: false, error: attempt.error, waitMs: attempt.error?.retryAfterMs ?? 0 }
  const { claimed, lines, outcomes } = attempt
  if (!(outcomes instanceof ConnectorError)) return settleOutcomes(ground, claimed, lines, outcomes, failures)
  const error = outcomes
  if (error.kind === 'refused' && claimed.ops.length > 1) {
    const halves = halvesOf(claimed)
    const ids = await effect('split', () => splitBatch(deps.db, claimed, halves))
    return {
      done: false,
      error: null,
      waitMs: 0,
      halves: (ids ?? []).map((id, i) => ({ ...attempt.batch, ...UNTRIED, id, size: halves[i]?.size ?? 0 })),
    }
  }
  if (error.kind === 'refused') return settleOutcomes(ground, claimed, lines, [refusedRecord(lines[0] ?? '', error)], failures)
  const { run, id } = claimed
  const { sync, destination: target } = ground.definition
  deps.journal.batchFailed({ run, sync, destination: target.name, batch: id, kind: error.kind, code: error.code })
  const applied = ERROR_KINDS[error.kind].applied
  const waitMs =
    applied === 'unknown' && destination.readBack
      ? destination.lostRequestMs
      : (error.retryAfterMs ?? (error.kind === 'stale' ? 0 : backoffMs(failures, Math.random())))
  await release(deps, claimed, { applied, waitMs })
  return { done: false, error, waitMs }
}

async function sendClaimed(
  ground: DeliveryGround,
  gate: Gate,
  claimed: ClaimedBatch,
  lines: readonly string[],
  batch: OpenBatch,
): Promise<FinalOutcome[]> {
  const { destination } = ground
  const outcomes: FinalOutcome[] = new Array<FinalOutcome>(lines.length).fill(null)
  let open = [...lines.keys()]
  if (batch.phase === 'remove' && claimed.ops.includes('x')) open = await withoutRefusedRenames(ground, claimed, open)
  if (open.length === 0) return outcomes
  const records = lines.map(recordOf)
  const take = (indexes: readonly number[]): WriteRequest =>
    writeRequest(
      ground.definition,
      claimed,
      indexes.flatMap((i) => records[i] ?? []),
    )
  if (claimed.doubtful && destination.readBack) {
    const found = await destination.readBack(take(open), gate)
    open = open.filter((index) => {
      const id = records[index]?.id ?? ''
      const state = found.get(id) ?? 'differs'
      if (state === 'as_wanted') outcomes[index] = { id, status: 'delivered' }
      else if (ground.definition.spec.mode === 'insert' && batch.phase === 'upsert' && state === 'differs')
        outcomes[index] = { id, status: 'skipped' }
      else return true
      return false
    })
    if (open.length === 0) return outcomes
  }
  const answerOf = answerById(await destination.write(take(open), gate))
  for (const index of open) outcomes[index] = answerOf(records[index]?.id ?? '')
  return outcomes
}

/** Old match values stay where their row could not be delivered under the new one. */
export async function withoutRefusedRenames(ground: DeliveryGround, claimed: ClaimedBatch, open: readonly number[]): Promise<number[]> {
  const keys = unpack(claimed.entries).map(({ key }) => key)
  const refused = await refusedInRun(ground.deps.db, { sync: ground.definition.sync, run: claimed.run, keys })
  return open.filter((index) => claimed.ops[index] !== 'x' || !refused.has(keys[index]?.toString('hex') ?? ''))
}

/**
 * Writes down one outcome per record of a claimed batch; what is open lives on as a child batch, or the batch is given back. Throws
 * only when the state database stays away.
 */
export async function settleOutcomes(
  ground: DeliveryGround,
  claimed: ClaimedBatch,
  lines: readonly string[],
  outcomes: readonly FinalOutcome[],
  failures: number,
): Promise<BatchTry> {
  const { deps, destination, definition, generation } = ground
  const { settlement, open } = settlementOf(claimed, lines, outcomes)
  const inDoubt = open.some((record) => record.inDoubt)
  const waitMs = inDoubt && destination.readBack ? destination.lostRequestMs : backoffMs(failures, Math.random())
  if (open.length === outcomes.length) {
    await release(deps, claimed, { applied: inDoubt ? 'unknown' : 'no', waitMs })
    return { done: false, error: null, waitMs }
  }
  const openIndexes = new Set(open.map(({ index }) => index))
  const part = openIndexes.size > 0 ? partOf(claimed, (index) => openIndexes.has(index)) : null
  // What was read back before it was sent is certain; where nothing can be read back, doubt stays until it is settled.
  const doubtful = inDoubt || (claimed.doubtful && !destination.readBack)
  const child: ChildBatch | null = part ? { ...part, doubtful, waitMs } : null
  const settled = { ...settlement, sync: definition.sync, generation, child }
  const ours = await outlastOutage(SETTLE_PATIENCE_MS, () => effect('settle', () => settleBatch(deps.db, settled)))
  const { delivered, skipped, rejected } = settlement
  const names = { run: claimed.run, sync: definition.sync, destination: definition.destination.name, batch: claimed.id }
  if (ours) deps.journal.settled({ ...names, delivered, skipped, rejected })
  const refused = settlement.rejected > 0
  return child ? { done: false, error: null, waitMs, rejected: refused } : { done: true, rejected: refused }
}

async function release(deps: Deps, claimed: ClaimedBatch, how: { applied: 'no' | 'unknown'; waitMs: number }): Promise<void> {
  await outlastOutage(SETTLE_PATIENCE_MS, () => effect('release', () => releaseBatch(deps.db, claimed, how)))
}

function writeRequest(definition: RunDefinition, claimed: ClaimedBatch, records: PlannedRecord[]): WriteRequest {
  return {
    batchId: `${claimed.run}.${claimed.id}`,
    sync: definition.sync,
    run: claimed.run,
    plannedAt: claimed.plannedAt.toISOString(),
    object: definition.spec.object ?? '',
    mode: definition.spec.mode,
    match: definition.spec.match ?? null,
    records,
  }
}

/** Lines begin `{"id":"<32 hex>","op":"upsert"|"delete"`: read without parsing. */
export function recordOf(line: string): PlannedRecord {
  return { id: line.slice(7, 39), op: line.startsWith('delete', 47) ? 'delete' : 'upsert', line }
}

function refusedRecord(line: string, error: ConnectorError): RecordOutcome {
  return { id: recordOf(line).id, status: 'rejected', class: 'data', code: error.code ?? 'refused', field: null, message: error.message }
}

const UNTRIED = { state: 'planned', attempt: 0, waitMs: 0, sentAgoMs: null, abandoned: false } as const

function halvesOf(claimed: ClaimedBatch): ChildBatch[] {
  const middle = Math.ceil(claimed.ops.length / 2)
  return [(index: number) => index < middle, (index: number) => index >= middle].flatMap((keep) => {
    const part = partOf(claimed, keep)
    return part ? [{ ...part, doubtful: claimed.doubtful, waitMs: 0 }] : []
  })
}
