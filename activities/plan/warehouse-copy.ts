import type pg from 'pg'
import type { CopyChange, CopyTotals, Reading, ReadRequest, Source, WarehouseComparison } from '../../connectors/source-contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import type { KeyCodec } from '../../connectors/keys.ts'
import { BaselineReader, lastSeq } from '../../state/baseline.ts'
import { mustBeLookedAt, readBooks } from '../../state/books.ts'
import { syncState, type RunRecord } from '../../state/run-row.ts'
import { dropHashes, lastHashes, readHashes } from '../../state/warehouse-hashes.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { effect } from '../failpoints.ts'
import { compactIfDue } from '../prepare/compact.ts'
import { versionMark } from './differences.ts'
import { withSnapshot } from './open-pass.ts'

const KEYS_A_PAGE = 1000

/** What a plan reads of the model; the kind of its key is known before its baseline's generation is, and that before the first row. */
export interface PlanRows {
  readonly keyCodec: KeyCodec
  open(generation: number): Promise<{ readonly reading: Reading; readonly copied: (() => CopyTotals) | null }>
  /** What the copy proved turned out to be wrong. Throws `source`: the next attempt makes it anew. */
  distrust(): Promise<never>
}

/**
 * All rows, or where the warehouse compares those that it does not prove unchanged. A run that needs every row (full, verify, adopt)
 * reads all and leaves the copy alone: the next one brings it up to date.
 */
export async function openRows(
  deps: Deps,
  { row, definition, source, request }: { row: RunRecord; definition: RunDefinition; source: Source; request: ReadRequest },
): Promise<PlanRows> {
  const comparison = row.full || row.verify || row.adopt ? undefined : await source.compareInWarehouse?.(request, row.sync)
  if (comparison === undefined) {
    const reading = await source.read(request)
    return { keyCodec: reading.keyCodec, open: () => Promise.resolve({ reading, copied: null }), distrust: () => disagreement() }
  }
  return {
    keyCodec: comparison.keyCodec,
    async open(generation) {
      await bringUpToDate(deps, comparison, { sync: row.sync, generation, mappingId: definition.mappingId })
      // Only now: what is merged into older segments is not seen by their seq any more.
      const known = row.dryRun ? null : await syncState(deps.db, row.sync)
      if (known) await compactIfDue(deps, row.sync, known, () => undefined)
      const reading = await comparison.read()
      return { reading, copied: () => reading.copied() }
    },
    async distrust() {
      await comparison.forget()
      return disagreement()
    },
  }
}

function disagreement(): never {
  throw new ConnectorError('source', 'the copy in the planner’s schema is not what the ledger acknowledged; it is made anew')
}

/** From a snapshot of its own: within a run that holds the sync nothing is settled before its plan. */
async function bringUpToDate(
  deps: Deps,
  comparison: WarehouseComparison,
  { sync, generation, mappingId }: { sync: string; generation: number; mappingId: string },
): Promise<void> {
  const identity = { generation, mappingId }
  const from = await comparison.standing(identity)
  const hashes = await withSnapshot(deps.db, async (client) => {
    const last = await lastHashes(client, sync)
    const to = Math.max(from ?? 0, await lastSeq(client, sync, generation))
    const change: CopyChange = {
      identity,
      from,
      to,
      acknowledged: acknowledgedAfter(client, { sync, generation, from }),
      hashes: hashPages(client, sync, last),
      watched: watchedKeys(client, sync),
    }
    await effect('copy-advance', () => comparison.advance(change))
    return last
  })
  await effect('copy-advance', () => dropHashes(deps.db, sync, hashes))
}

async function* acknowledgedAfter(
  client: pg.ClientBase,
  { sync, generation, from }: { sync: string; generation: number; from: number | null },
): AsyncGenerator<{ key: Buffer; version: bigint | null }[]> {
  const reader = new BaselineReader(client, { sync, generation, cursorName: 'acknowledged', withRemoved: true, aboveSeq: from ?? -1 })
  let page: { key: Buffer; version: bigint | null }[] = []
  while (await reader.next()) {
    const entry = reader.current
    if (!entry) break
    page.push({ key: Buffer.from(entry.key), version: entry.removed ? null : versionMark(entry.bytes, entry.fingerprintStart) })
    if (page.length < KEYS_A_PAGE) continue
    yield page
    page = []
  }
  yield page
}

async function* hashPages(
  client: pg.ClientBase,
  sync: string,
  upTo: number,
): AsyncGenerator<{ key: Buffer; version: bigint; hash: string }[]> {
  for await (const entry of readHashes(client, sync, upTo)) {
    const page: { key: Buffer; version: bigint; hash: string }[] = []
    while (entry.next()) page.push({ key: entry.key, version: versionMark(entry.bytes, entry.fingerprintStart), hash: entry.match ?? '' })
    yield page
  }
}

async function* watchedKeys(client: pg.ClientBase, sync: string): AsyncGenerator<Buffer[]> {
  for await (const entry of readBooks(client, sync)) if (mustBeLookedAt(entry)) yield [entry.key]
}
