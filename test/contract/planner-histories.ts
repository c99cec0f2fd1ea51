import assert from 'node:assert/strict'
import type pg from 'pg'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Connections } from '../../activities/connections.ts'
import { baselineId, mappingId, type RunDefinition } from '../../activities/definition.ts'
import { settlementOf, type FinalOutcome } from '../../activities/deliver/outcomes.ts'
import type { Deps } from '../../activities/deps.ts'
import { Journal } from '../../activities/journal.ts'
import { unpackLines } from '../../activities/plan/batch.ts'
import { makePlan } from '../../activities/plan/plan.ts'
import type { Column } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { claimBatch } from '../../state/ledger.ts'
import { unpack } from '../../state/segment.ts'
import { settleBatch } from '../../state/settle.ts'
import type { SyncSpec } from '../../state/spec.ts'
import { activate, newRun } from './state-fixture.ts'

/** What became of the record at a position of a batch. */
export type Fate = 'delivered' | 'refused' | 'locked' | 'doubt' | 'unsent'

export interface RunKind {
  readonly full?: boolean
  readonly dryRun?: boolean
  readonly adopt?: boolean
}

const COLUMNS: readonly Column[] = [
  { name: 'email', kind: 'text', nativeType: 'text' },
  { name: 'id', kind: 'integer', nativeType: 'bigint' },
  { name: 'mrr', kind: 'decimal', nativeType: 'numeric' },
]

/** What planning needs; a plan starts nothing. */
export function planningDeps(db: pg.Pool): Deps {
  return {
    db,
    connections: new Connections({ env: {}, secretsDir: '/nowhere' }),
    client: null as unknown as Deps['client'],
    taskQueue: 'none',
    journal: new Journal(pino({ level: 'silent' }), new Registry()),
  }
}

/** One sync on the table `customers` of a warehouse, run by the product's own plan and settled by its own statements. */
export class HistorySync {
  readonly #deps: Deps
  readonly #name: string
  readonly #definition: RunDefinition

  constructor(db: pg.Pool, name: string, { source, key }: { source: RunDefinition['source']; key: readonly string[] }) {
    this.#name = name
    const spec: SyncSpec = {
      model: 'customers',
      destination: 'hook',
      mode: 'mirror',
      match: 'email',
      fields: { email: 'email', id: 'id', mrr: 'mrr' },
      guards: { emptyModel: 'allow', maxRemoved: 1 },
    }
    this.#definition = {
      sync: name,
      spec,
      source,
      destination: {
        name: 'hook',
        connector: 'webhook',
        config: { url: 'https://hooks.example.com', secret: `whsec_${'A'.repeat(32)}`, batchSize: 3 },
      },
      query: { table: 'customers' },
      primaryKey: key,
      columns: COLUMNS,
      fields: null,
      baselineId: baselineId({ destination: 'hook', spec, primaryKey: key }),
      mappingId: mappingId({ spec, columns: COLUMNS, primaryKey: key }),
      settleAfterMs: 1000,
    }
    this.#deps = planningDeps(db)
  }

  async plan(kind: RunKind): Promise<{ run: string; plan: unknown; attempts: number }> {
    const run = await this.begin(kind)
    return { run, ...(await this.planOf(run)) }
  }

  /** A run that is about to plan. */
  async begin(kind: RunKind): Promise<string> {
    const { db } = this.#deps
    const run = await newRun(db, this.#name, { dryRun: kind.dryRun ?? false })
    await db.query('update run set definition = $2, full_plan = $3, adopt = $4 where id = $1', [
      run,
      JSON.stringify(this.#definition),
      kind.full ?? false,
      kind.adopt ?? false,
    ])
    await activate(db, run, this.#name, kind.dryRun === true ? 'looks' : kind.adopt === true ? 'adopts' : 'delivers')
    return run
  }

  /** Plans as a run would, again when the source asks for it; what was planned, as far as two syncs can be compared. */
  async planOf(run: string): Promise<{ plan: unknown; attempts: number }> {
    for (let attempts = 1; ; attempts++) {
      try {
        const { counts, holds } = await makePlan(this.#deps, run, new AbortController().signal, () => undefined)
        return { attempts, plan: { counts, holds, ...(await this.#batches(run)), books: await this.#books() } }
      } catch (error) {
        if (!(error instanceof ConnectorError) || error.kind !== 'source' || attempts === 2) throw error
      }
    }
  }

  /** Invalid rows as a set: those without a key may come anywhere in a reading. */
  async #batches(run: string): Promise<{ batches: unknown[]; invalid: string[] }> {
    const { rows } = await this.#deps.db.query<{
      phase: string
      ops: string
      entries: Buffer
      payload: Buffer
      doubtful: boolean
      on_books: boolean
    }>('select phase, ops, entries, payload, doubtful, on_books from batch where run = $1 order by phase, seq, id', [run])
    const batches = rows.map(({ entries, payload, ...row }) => ({
      ...row,
      entries: unpack(entries).map(({ key, fingerprint, match }) => [key.toString('hex'), fingerprint.toString('hex'), match]),
      // Ids name the sync and the run.
      lines: unpackLines(payload).map((line) => ({ ...(JSON.parse(line) as object), id: null })),
    }))
    const invalid = batches.filter(({ phase }) => phase === 'invalid')
    return {
      batches: batches.filter(({ phase }) => phase !== 'invalid'),
      invalid: invalid.flatMap(({ entries, lines }) => entries.map((entry, i) => JSON.stringify([entry, lines[i]]))).sort(),
    }
  }

  async #books(): Promise<unknown> {
    const of = async (sql: string): Promise<unknown[]> => (await this.#deps.db.query<Record<string, unknown>>(sql, [this.#name])).rows
    return {
      doubt: await of(`select encode(key, 'hex') as key from doubt where sync = $1 order by key`),
      stale: await of(`select encode(key, 'hex') as key, match from stale_match where sync = $1 order by key, match`),
      rejections: await of(
        // Of two rows with one key either may be the version that is noted: nothing asks for an invalid row's.
        `select encode(id, 'hex') as id, op, class, code, case when class <> 'invalid' then encode(fingerprint, 'hex') end as f
         from rejection where sync = $1 order by id`,
      ),
    }
  }

  /** Settles the run's batches as fate has it, by position over all of them; one that holds doubt stays claimed. */
  async settle(run: string, fateOf: (position: number) => Fate): Promise<void> {
    const { db } = this.#deps
    const { rows } = await db.query<{ id: number; size: number; attempt: number }>(
      `select id, size, attempt from batch where run = $1 and phase in ('upsert', 'remove') and state = 'planned' order by phase desc, seq, id`,
      [run],
    )
    let position = 0
    for (const batch of rows) {
      const fates = Array.from({ length: batch.size }, () => fateOf(position++))
      if (fates[0] === 'unsent') continue
      const claimed = await claimBatch(db, batch, 'account')
      assert.ok(claimed)
      if (fates.includes('doubt')) continue
      const lines = unpackLines(claimed.payload)
      const outcomes = fates.map((fate, i): FinalOutcome => {
        if (fate !== 'refused' && fate !== 'locked') return { id: String(i), status: 'delivered' }
        return { id: String(i), status: 'rejected', class: fate === 'locked' ? 'locked' : 'data', code: 'x', field: null, message: 'x' }
      })
      const generation = await db.query<{ generation: number }>('select generation from run where id = $1', [run])
      const { settlement } = settlementOf(claimed, lines, outcomes)
      assert.ok(await settleBatch(db, { ...settlement, sync: this.#name, generation: generation.rows[0]?.generation ?? 0, child: null }))
    }
  }

  async makeRejectionsDue(): Promise<void> {
    await this.#deps.db.query(`update rejection set next_attempt = clock_timestamp() where sync = $1`, [this.#name])
  }
}
