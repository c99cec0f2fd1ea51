import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { CopyTotals, QueryHandle } from '../../connectors/source-contract.ts'
import { BaselineReader } from '../../state/baseline.ts'
import { hasStaleMatches } from '../../state/books.ts'
import { plannedGeneration, type PlannedGeneration } from '../../state/fence.ts'
import { PlanTables } from '../../state/plan-tables.ts'
import { loadRun, syncState, type RunRecord } from '../../state/run-row.ts'
import { doubtStaged, publishPlan, readStaged, rewriteStaged, type PlanCounts, type PublishedPlan } from '../../state/staging.ts'
import { REMOVED, SegmentWriter, unpack, type PackedSegment } from '../../state/segment.ts'
import type { Deps } from '../deps.ts'
import type { RunDefinition } from '../definition.ts'
import { effect } from '../failpoints.ts'
import { runFailure, superseded } from '../failure.ts'
import { adoptModel } from './adopt.ts'
import { partOf } from './batch.ts'
import { Differences } from './differences.ts'
import { driftingRows } from './drift.ts'
import { matchHasher, versionIds } from './fingerprint.ts'
import { crossedGuards } from './guards.ts'
import { bulkPhases } from './bulk-phases.ts'
import { comparePass, openGround, withSnapshot, type PassGround } from './open-pass.ts'
import { queryHandle } from './query-handle.ts'
import type { PlanResult } from './result.ts'
import { StagingSink } from './staging-sink.ts'
import { openRows, type PlanRows } from './warehouse-copy.ts'

const KEYS_A_BLOCK = 1000

/**
 * Works out what a run has to send and freezes it. Attempt-scoped: a retry starts clean and only one attempt's result is ever
 * published, whole. A plan that is published already is given back as it is.
 */
export async function makePlan(deps: Deps, run: string, signal: AbortSignal, show: (query: string | null) => void): Promise<PlanResult> {
  const row = await loadRun(deps.db, run)
  if (!row || row.finished) throw superseded()
  if (row.plan) return publishedPlan(row)
  const over = new AbortController()
  try {
    const handle = queryHandle(deps, { run, known: row.query, signal, show })
    return await planModel(deps, row, AbortSignal.any([signal, over.signal]), handle)
  } finally {
    // A reading that was opened and not gone through holds a warehouse session.
    over.abort()
  }
}

async function planModel(deps: Deps, row: RunRecord, signal: AbortSignal, handle: QueryHandle): Promise<PlanResult> {
  const run = row.id
  const definition = row.definition as RunDefinition
  const { source } = await deps.connections.source(definition.source)
  const { destination } = await deps.connections.destination(definition.destination)
  const request = {
    query: definition.query,
    key: definition.primaryKey,
    columns: definition.columns.map((c) => c.name),
    signal,
    label: { sync: row.sync, run, step: 'plan' },
    handle,
  }
  const rows = await openRows(deps, { row, definition, source, request })
  const keyParts = rows.keyCodec.signature
  const baseline = await plannedGeneration(deps.db, { run, sync: row.sync, baselineId: definition.baselineId, keyParts })
  if (baseline === null) throw superseded()
  const { reading, copied } = await rows.open(baseline.generation)
  const ground = await openGround(definition, reading, destination)
  const published = row.adopt
    ? await adoptModel(deps, { row, definition, ground, ...baseline, keyParts })
    : await comparePlan(deps, { row, definition, ground, ...baseline, keyParts, signal, copied, distrust: () => rows.distrust() })
  if (!published) {
    const again = await loadRun(deps.db, run)
    if (!again?.plan) throw superseded()
    return publishedPlan(again)
  }
  const { counts, holds } = published
  deps.journal.planned({ run, sync: row.sync, destination: definition.destination.name, dryRun: row.dryRun, counts, holds })
  return { ...published, full: row.full }
}

function publishedPlan(row: RunRecord): PlanResult {
  const { holds, bulk, ...counts } = row.planned as PlanCounts & Pick<PublishedPlan, 'holds' | 'bulk'>
  return { counts, holds, bulk, upsertBatches: row.upsertBatches ?? 0, removeBatches: row.removeBatches ?? 0, full: row.full }
}

interface PlanInput extends PlannedGeneration, Pick<PlanRows, 'distrust'> {
  readonly row: RunRecord
  readonly definition: RunDefinition
  readonly ground: PassGround
  readonly keyParts: string
  readonly signal: AbortSignal
  /** The copy that the warehouse compared with; null: every row comes. */
  readonly copied: (() => CopyTotals) | null
}

async function comparePlan(deps: Deps, input: PlanInput): Promise<Omit<PlanResult, 'full'> | null> {
  const client = await deps.db.connect()
  try {
    return await withSnapshot(deps.db, (snapshot) => stageAndPublish(deps, input, snapshot, client))
  } finally {
    // Its temporary tables go with the session.
    client.release(true)
  }
}

async function stageAndPublish(
  deps: Deps,
  input: PlanInput,
  snapshot: pg.PoolClient,
  client: pg.PoolClient,
): Promise<Omit<PlanResult, 'full'> | null> {
  const { row, definition, ground, generation, fresh, keyParts } = input
  const tables = new PlanTables(client)
  await tables.create()
  const plan = randomUUID()
  const { hashMatch, sink } = await openSink(deps, input, { client, tables, plan })
  const mirror = definition.spec.mode === 'mirror'
  const differences = input.copied === null ? null : new Differences()
  const pass = comparePass(ground, sink, { client: snapshot, definition, generation, fresh, full: row.full, differences })
  const drift = row.verify ? driftingRows(deps, { definition, ground, sink, run: row.id, signal: input.signal }) : null
  sink.drift = drift
  await pass.run(() => input.signal.aborted)
  input.signal.throwIfAborted()
  if (differences !== null && input.copied !== null && !differences.agrees(input.copied())) await input.distrust()
  if (drift) pass.counts.unchanged -= await drift.finish()
  await sink.flush()

  if (hashMatch && !sink.matchFilter.empty) {
    await holdersInBaseline(sink, hashMatch, snapshot, { definition, generation, ground })
    await sink.flush()
    const shared = await dropSharedMatches(client, tables, sink, {
      run: row.id,
      plan,
      decodeKey: (key) => ground.reading.keyCodec.decode(key),
    })
    const heirs = await tables.heirsOfDoubt()
    if (heirs.length > 0) await effect('stage', () => doubtStaged(client, { run: row.id, plan }, heirs))
    await tables.dropRenamesOf(shared)
    for (const { key, match, certain } of await tables.dropHeldRemovals()) {
      sink.currentAgain(key, match)
      if (certain) sink.certain(key)
    }
  }
  const endings = await tables.endings()
  const removed = mirror ? await sink.remove(tables.removals(2000), (key) => ground.reading.keyCodec.decode(key)) : 0
  await sink.flush()

  const counts: PlanCounts = {
    ...sink.counts,
    removed,
    read: pass.counts.read,
    unchanged: pass.counts.unchanged,
    retried: pass.counts.retried,
  }
  const holds = crossedGuards(definition.spec.guards, { ...counts, baseline: pass.counts.baseline })
  const bulk = bulkPhases(ground.destination.bulk, counts)
  const published = { plan, counts, holds, bulk, upsertBatches: sink.upsertBatches, removeBatches: sink.removeBatches }
  const books = {
    invalid: [...sink.invalidRejections.values()],
    settledRejections: sink.settledRejections,
    renamed: [...sink.renamed, ...endings.flatMap(({ key, match }) => (match === null ? [] : [{ key, match }]))],
    currentAgain: sink.currentAgainMatches,
    certain: sink.certainKeys,
  }
  const baseline = { generation, keyParts, lapses: lapsesOf(endings) }
  const publishing = { run: row.id, sync: row.sync, published, books, baseline, dryRun: row.dryRun, beganAt: row.lookedAt }
  const ours = await effect('publish', () => publishPlan(deps.db, publishing))
  return ours ? published : null
}

async function openSink(
  deps: Deps,
  { row, definition, ground }: PlanInput,
  staging: { client: pg.PoolClient; tables: PlanTables; plan: string },
) {
  const known = await syncState(deps.db, row.sync)
  const matchCheck =
    ground.hasMatch && (!ground.matchIsKey || known?.mappingId !== definition.mappingId || (await hasStaleMatches(deps.db, row.sync)))
  const matchField = definition.fields?.find(({ name }) => name === definition.spec.match) ?? null
  const hashMatch = matchCheck ? await matchHasher((match) => ground.destination.fold(match, matchField)) : null
  const sink = new StagingSink({
    client: staging.client,
    tables: staging.tables,
    ids: { sync: row.sync, run: row.id, plan: staging.plan, version: await versionIds(row.sync, row.id) },
    batchSize: ground.destination.batchSize,
    carriesMatch: ground.hasMatch && !ground.matchIsKey,
    hashMatch,
    matchField: definition.spec.match,
    readBackFirst: row.verify,
    groupBy: ground.destination.groupBy?.(definition.fields ?? []) ?? null,
  })
  return { hashMatch, sink }
}

/** Baseline entries that end, as removals: what is there now was written by another key, so the same version would have to be sent again. */
function lapsesOf(endings: readonly { readonly key: Buffer }[]): PackedSegment[] {
  const writer = new SegmentWriter(false)
  const blocks: (PackedSegment | null)[] = []
  for (const { key } of endings) {
    writer.add(key, REMOVED, null)
    if (writer.size >= KEYS_A_BLOCK) blocks.push(writer.take())
  }
  return [...blocks, writer.take()].filter((block) => block !== null)
}

/**
 * Second pass, over the baseline only: rows that stay as they are and may hold a match value that the plan writes or removes, and
 * entries of other keys whose match value is written by the plan or was by such a row.
 */
async function holdersInBaseline(
  sink: StagingSink,
  hashMatch: (match: string) => Uint8Array,
  snapshot: pg.PoolClient,
  { definition, generation, ground }: { definition: RunDefinition; generation: number; ground: PassGround },
): Promise<void> {
  const reader = new BaselineReader(snapshot, { sync: definition.sync, generation, cursorName: 'holders' })
  for (let ordinal = 0; await reader.next(); ordinal++) {
    const entry = reader.current
    if (!entry || sink.keptOrdinals.has(ordinal)) continue
    const match = entry.match ?? ground.reading.keyCodec.decode(entry.key)[0] ?? ''
    const hash = hashMatch(match)
    if (!sink.matchFilter.mayHave(hash)) continue
    if (sink.unchangedOrdinals.has(ordinal)) sink.holdsHash(hash, 'a')
    else sink.mayEnd(hash, Buffer.from(entry.key), match)
    if (sink.full) await sink.drain()
  }
}

const DUPLICATE_MATCH = {
  code: 'duplicate_match',
  field: null,
  message: 'another row of the model has the same match value; none of them is sent',
}

/** Planned rows that share their folded match value with another row of the model leave their batches and become invalid. */
async function dropSharedMatches(
  client: pg.PoolClient,
  tables: PlanTables,
  sink: StagingSink,
  { run, plan, decodeKey }: { run: string; plan: string; decodeKey: (key: Buffer) => string[] },
): Promise<Buffer[]> {
  const shared = await tables.takeBackShared()
  const bySeq = new Map<number, Set<string>>()
  for (const { key, seq } of shared) {
    const keys = bySeq.get(seq) ?? new Set()
    bySeq.set(seq, keys.add(key.toString('hex')))
  }
  for (const [seq, keys] of bySeq) {
    const staged = await readStaged(client, { run, plan, seq })
    if (!staged) throw runFailure('internal', `staged batch ${seq} is missing`)
    const entries = unpack(staged.entries)
    const gone = (index: number) => keys.has(entries[index]?.key.toString('hex') ?? '')
    for (const [index, entry] of entries.entries()) {
      if (!gone(index)) continue
      const op = staged.ops[index] === 'a' ? 'added' : 'changed'
      sink.counts[op]--
      const { key, fingerprint } = entry
      sink.invalid({ ...DUPLICATE_MATCH, op, key, keyTexts: decodeKey(key), fingerprint, match: null })
    }
    await rewriteStaged(
      client,
      { run, plan, seq },
      partOf(staged, (index) => !gone(index)),
    )
  }
  return shared.map(({ key }) => key)
}
