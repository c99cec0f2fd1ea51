import { gunzipSync } from 'node:zlib'
import { parse } from 'lossless-json'

export const CHANGE_OPS = ['added', 'changed', 'removed'] as const
export const CHANGE_OUTCOMES = ['planned', 'delivered', 'skipped', 'rejected', 'invalid', 'in_doubt'] as const

export type ChangeOp = (typeof CHANGE_OPS)[number]
export type ChangeOutcome = (typeof CHANGE_OUTCOMES)[number]

/** One planned record and what became of it. Row values: numbers in `fields` are lossless-json's, with all their digits. */
export interface Change {
  /** A single key's text, or an array of texts with null where a part is NULL. */
  readonly key: unknown
  readonly op: ChangeOp
  readonly fields: unknown
  readonly outcome: ChangeOutcome
  /** As the webhook's `data.batch` names it. */
  readonly batch: string
  readonly error: { readonly code: string; readonly message: string; readonly field?: string } | null
}

/** A `StoredBatch` of a batch `b`. */
export const STORED_COLUMNS =
  'b.id::text as id, b.run, b.seq, b.state, b.attempt, b.doubtful, b.parent::text as parent, b.ops, b.payload, b.outcomes'

export interface StoredBatch {
  readonly id: string
  readonly run: string
  readonly seq: number
  readonly state: 'planned' | 'sending' | 'settled' | 'split' | 'discarded' | 'doubt'
  readonly attempt: number
  readonly doubtful: boolean
  readonly parent: string | null
  readonly ops: string
  readonly payload: Buffer
  readonly outcomes: Readonly<Record<string, { readonly outcome: string; readonly code?: string; readonly message?: string }>> | null
}

const OPS: Readonly<Record<string, ChangeOp | 'invalid'>> = { a: 'added', c: 'changed', r: 'removed', x: 'removed', i: 'invalid' }

/**
 * The records of a batch with their positions in it. Left out are those that a child batch stands for and those that were not to
 * be sent after all. Pure.
 */
export function recordsOf(batch: StoredBatch): { readonly index: number; readonly change: Change }[] {
  const lines = gunzipSync(batch.payload).toString('utf8').split('\n')
  return lines.flatMap((line, index) => {
    const change = changeOf(batch, index, line)
    return change === null ? [] : [{ index, change }]
  })
}

function changeOf(batch: StoredBatch, index: number, line: string): Change | null {
  const op = OPS[batch.ops[index] ?? '']
  if (op === undefined) throw new Error(`batch ${batch.id} has more records than operations`)
  const exception = batch.state === 'settled' ? batch.outcomes?.[index] : undefined
  if (exception?.outcome === 'child' || exception?.outcome === 'dropped') return null
  const record = asObject(parse(line))
  const invalid = op === 'invalid'
  return {
    key: record['key'] ?? null,
    op: !invalid ? op : record['change'] === 'changed' ? 'changed' : 'added',
    fields: record['fields'] ?? {},
    outcome: invalid ? 'invalid' : outcomeOf(batch, exception?.outcome),
    batch: `${batch.run}.${batch.id}`,
    error: invalid ? invalidError(record['error']) : rejectionError(exception),
  }
}

function outcomeOf(batch: StoredBatch, exception: string | undefined): ChangeOutcome {
  switch (batch.state) {
    case 'settled':
      return exception === 'skipped' || exception === 'rejected' ? exception : 'delivered'
    case 'sending':
    case 'doubt':
      return 'in_doubt'
    case 'planned':
      return batch.doubtful && (batch.attempt > 0 || batch.parent !== null) ? 'in_doubt' : 'planned'
    case 'discarded':
    case 'split':
      return 'planned'
  }
}

function rejectionError(exception: { readonly code?: string; readonly message?: string } | undefined): Change['error'] {
  return exception?.code === undefined ? null : { code: exception.code, message: exception.message ?? '' }
}

function invalidError(value: unknown): Change['error'] {
  const { code, message, field } = asObject(value)
  return {
    code: typeof code === 'string' ? code : 'invalid',
    message: typeof message === 'string' ? message : '',
    ...(typeof field === 'string' ? { field } : {}),
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
