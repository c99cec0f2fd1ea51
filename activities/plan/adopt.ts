import { insertSegments } from '../../state/compaction.ts'
import { SegmentWriter, type PackedSegment } from '../../state/segment.ts'
import type { NewRejection } from '../../state/settle.ts'
import { nextBaselineSeq, publishAdopted } from '../../state/adoption.ts'
import type { PlannedGeneration } from '../../state/fence.ts'
import type { RunRecord } from '../../state/run-row.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { effect } from '../failpoints.ts'
import { ComparePass } from './pass.ts'
import { invalidRejection, type InvalidRow, type PlannedRow, type PlanSink } from './plan-sink.ts'
import type { PassGround } from './open-pass.ts'
import type { PlanResult } from './result.ts'

const KEYS_A_BLOCK = 1000
const BLOCKS_A_WRITE = 100

/**
 * Moves the baseline to the model as it stands: a new generation is written aside and taken over in one transaction; nothing is
 * sent, records that left the model are not removed. Null: another attempt or another run was faster.
 */
export async function adoptModel(
  deps: Deps,
  {
    row,
    definition,
    ground,
    keyParts,
    ...baseline
  }: PlannedGeneration & { row: RunRecord; definition: RunDefinition; ground: PassGround; keyParts: string },
): Promise<Omit<PlanResult, 'full'> | null> {
  const generation = baseline.fresh ? baseline.generation : baseline.generation + 1
  const client = await deps.db.connect()
  try {
    await client.query('begin')
    const seq = await nextBaselineSeq(client)
    const sink = new AdoptSink(ground.hasMatch && !ground.matchIsKey, (blocks) =>
      insertSegments(client, { sync: definition.sync, generation, seq, blocks }),
    )
    const pass = new ComparePass({ ...ground, sink, baseline: null, books: null, full: true, mirror: false, differences: null })
    await pass.run(() => false)
    await sink.finish()
    const counts = {
      read: pass.counts.read,
      unchanged: sink.adopted,
      added: 0,
      changed: 0,
      removed: 0,
      retried: 0,
      invalid: sink.invalidRows,
    }
    const adopted = {
      run: row.id,
      sync: definition.sync,
      generation,
      baselineId: definition.baselineId,
      keyParts,
      seq,
      mappingId: definition.mappingId,
      counts,
      invalid: [...sink.rejections.values()],
      beganAt: row.lookedAt,
    }
    const ours = await effect('adopt', async () => {
      const taken = await publishAdopted(client, adopted)
      await client.query(taken ? 'commit' : 'rollback')
      return taken
    })
    return ours ? { counts, holds: [], bulk: [], upsertBatches: 0, removeBatches: 0 } : null
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  } finally {
    client.release()
  }
}

class AdoptSink implements PlanSink {
  adopted = 0
  invalidRows = 0
  readonly rejections = new Map<string, NewRejection>()
  readonly #writer: SegmentWriter
  readonly #write: (blocks: readonly PackedSegment[]) => Promise<void>
  #blocks: PackedSegment[] = []

  constructor(hasMatch: boolean, write: (blocks: readonly PackedSegment[]) => Promise<void>) {
    this.#writer = new SegmentWriter(hasMatch)
    this.#write = write
  }

  get full(): boolean {
    return this.#blocks.length >= BLOCKS_A_WRITE
  }

  async drain(): Promise<void> {
    const blocks = this.#blocks
    this.#blocks = []
    await this.#write(blocks)
  }

  planned(row: PlannedRow): void {
    this.adopted++
    this.#writer.add(row.key, row.fingerprint, row.match)
    if (this.#writer.size >= KEYS_A_BLOCK) this.#close()
  }

  invalid(row: InvalidRow): void {
    this.invalidRows++
    const rejection = invalidRejection(row)
    this.rejections.set(rejection.id.toString('hex'), rejection)
  }

  async finish(): Promise<void> {
    this.#close()
    await this.drain()
  }

  /** Records that left the model stay. */
  removal(): void {}

  #close(): void {
    const block = this.#writer.take()
    if (block) this.#blocks.push(block)
  }
}
