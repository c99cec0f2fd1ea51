import type { PlannedRecord } from '../../connectors/contract.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { Gate } from '../deliver/gate.ts'
import { recordLine } from './batch.ts'
import type { PassGround } from './open-pass.ts'
import type { PlannedRow } from './plan-sink.ts'
import type { StagingSink } from './staging-sink.ts'

/**
 * For a verify run: rows that did not change are read back at the destination, and those that are not as wanted are planned as
 * changed. `look` only collects; the sink's `drain` is the pass's place to wait.
 */
export function driftingRows(
  deps: Deps,
  {
    definition,
    ground,
    sink,
    run,
    signal,
  }: { definition: RunDefinition; ground: PassGround; sink: StagingSink; run: string; signal: AbortSignal },
) {
  let waiting: { ordinal: number; row: PlannedRow; record: PlannedRecord }[] = []
  let drifted = 0
  const { destination, reading } = ground

  const readBack = async () => {
    const some = waiting
    waiting = []
    if (some.length === 0 || !destination.readBack) return
    const gate = new Gate(deps.db, destination, signal)
    const request = {
      batchId: run,
      sync: definition.sync,
      run,
      plannedAt: new Date().toISOString(),
      object: definition.spec.object ?? '',
      mode: definition.spec.mode,
      match: definition.spec.match ?? null,
      records: some.map(({ record }) => record),
    }
    const found = await destination.readBack(request, gate)
    for (const { ordinal, row, record } of some) {
      if (found.get(record.id) === 'as_wanted') continue
      drifted++
      sink.drifted(row, ordinal)
    }
  }

  return {
    /** Whether enough was collected for a read. */
    due: () => waiting.length >= destination.batchSize,
    readBack,
    look(ordinal: number, row: Buffer): void {
      const mapped = ground.map(reading.decode(row))
      if ('invalid' in mapped) return
      const keyTexts = reading.decodeKey(row).map((text) => text ?? '')
      const key = reading.keyCodec.encode(keyTexts)
      const id = key.toString('hex')
      const line = recordLine({ id, op: 'upsert', key: keyTexts, fields: mapped.fields })
      waiting.push({
        ordinal,
        row: { op: 'changed', key, keyTexts, fingerprint: ground.fingerprint(row), fields: mapped.fields, match: mapped.match, book: null },
        record: { id, op: 'upsert', line },
      })
    },
    /** Reads back the rest; how many rows drifted in all. */
    async finish(): Promise<number> {
      await readBack()
      return drifted
    },
  }
}
