import type { StagedBatch } from '../../state/staging.ts'
import { BatchBuilder, type StagedRecord } from './batch.ts'

/** Groups that are filled at once: 128 × 199 records of some 500 bytes are 12 MB, and 1M records leave 8,000 in each. */
const GROUPS = 128

export interface GroupedBatch<R extends StagedRecord> {
  readonly batch: StagedBatch
  readonly records: readonly R[]
}

/**
 * Collects records into batches so that those with an equal value of one field lie together: in one batch if they fit, else in
 * batches of equal affinity. Each batch is in key order within itself; key ranges overlap.
 */
export class GroupedBatches<R extends StagedRecord> {
  readonly #groups: R[][] = Array.from({ length: GROUPS + 1 }, () => [])
  readonly #field: string
  readonly #limit: number
  readonly #make: (records: readonly R[], affinity: number) => GroupedBatch<R>

  constructor(
    field: string,
    kind: Pick<StagedBatch, 'phase' | 'doubtful' | 'onBooks'>,
    { limit, hasMatch, nextSeq }: { limit: number; hasMatch: boolean; nextSeq: () => number },
  ) {
    this.#field = field
    this.#limit = limit
    this.#make = (records, affinity) => {
      const builder = new BatchBuilder(kind, { limit: Infinity, hasMatch, nextSeq })
      for (const record of records) builder.add(record)
      const batch = builder.flush()
      if (!batch) throw new Error('a batch without records')
      return { batch: { ...batch, affinity }, records }
    }
  }

  /** `fields` is the record's JSON text. The full batch, if this record filled it. */
  add(record: R, fields: string): GroupedBatch<R> | null {
    const affinity = groupOf(fields, this.#field)
    const group = this.#groups[affinity] ?? []
    group.push(record)
    if (group.length < this.#limit) return null
    this.#groups[affinity] = []
    return this.#make(group, affinity)
  }

  /** What is left, neighbouring groups in one batch as far as they fit: few records must not become many batches. */
  flush(): GroupedBatch<R>[] {
    const batches: GroupedBatch<R>[] = []
    let together: R[] = []
    let affinity = 0
    const close = (): void => {
      if (together.length > 0)
        batches.push(
          this.#make(
            together.sort((a, b) => a.key.compare(b.key)),
            affinity,
          ),
        )
      together = []
    }
    for (const [number, group] of this.#groups.entries()) {
      if (together.length + group.length > this.#limit) close()
      if (together.length === 0) affinity = number
      together.push(...group)
      this.#groups[number] = []
    }
    close()
    return batches
  }
}

/** Records without a value fight for nothing; they make the last group. */
function groupOf(fields: string, field: string): number {
  const value = (JSON.parse(fields) as Record<string, string | number | boolean | null | undefined>)[field] ?? null
  if (value === null) return GROUPS
  let hash = 0
  for (const unit of String(value).toLowerCase()) hash = (hash * 31 + (unit.codePointAt(0) ?? 0)) >>> 0
  return hash % GROUPS
}
