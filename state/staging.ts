import type pg from 'pg'
import { inTransaction } from './database.ts'
import type { NewRejection } from './settle.ts'
import type { PackedSegment } from './segment.ts'

export interface StagedBatch extends PackedSegment {
  readonly seq: number
  readonly phase: 'upsert' | 'remove' | 'invalid'
  readonly ops: string
  readonly payload: Buffer
  readonly doubtful: boolean
  readonly onBooks: boolean
  /** Milliseconds until a doubtful batch may be read back. */
  readonly waitMs: number
  /** Equal numbers: best sent together; null where the sync groups nothing. */
  readonly affinity: number | null
}

export interface PlanCounts {
  readonly read: number
  readonly unchanged: number
  readonly added: number
  readonly changed: number
  readonly removed: number
  readonly retried: number
  readonly invalid: number
}

export interface PublishedPlan {
  readonly plan: string
  readonly counts: PlanCounts
  readonly upsertBatches: number
  readonly removeBatches: number
  /** Why the run has to wait for a person; empty: it need not. */
  readonly holds: readonly string[]
  /** Phases that are large enough for bulk jobs. */
  readonly bulk: readonly ('upsert' | 'remove')[]
}

/** Writes batches of a plan attempt. They are litter until `publishPlan` names their plan. */
export async function stageBatches(db: pg.Pool | pg.ClientBase, run: string, plan: string, batches: readonly StagedBatch[]): Promise<void> {
  if (batches.length === 0) return
  await db.query(
    `insert into batch (run, plan, seq, phase, first_key, last_key, size, ops, payload, entries, doubtful, on_books, affinity, not_before)
     select $1, $2, c.seq, c.phase, c.first_key, c.last_key, c.size, c.ops, c.payload, c.entries, c.doubtful, c.on_books, c.affinity,
       case when c.wait_ms > 0 then clock_timestamp() + c.wait_ms * interval '1 millisecond' end
     from unnest($3::int[], $4::text[], $5::bytea[], $6::bytea[], $7::int[], $8::text[], $9::bytea[], $10::bytea[], $11::boolean[], $12::boolean[], $13::float8[], $14::smallint[])
       as c (seq, phase, first_key, last_key, size, ops, payload, entries, doubtful, on_books, wait_ms, affinity)`,
    [
      run,
      plan,
      batches.map((b) => b.seq),
      batches.map((b) => b.phase),
      batches.map((b) => b.firstKey),
      batches.map((b) => b.lastKey),
      batches.map((b) => b.size),
      batches.map((b) => b.ops),
      batches.map((b) => b.payload),
      batches.map((b) => b.entries),
      batches.map((b) => b.doubtful),
      batches.map((b) => b.onBooks),
      batches.map((b) => b.waitMs),
      batches.map((b) => b.affinity),
    ],
  )
}

export interface StagedUpsert {
  readonly run: string
  readonly plan: string
  readonly seq: number
}

/** A staged batch of a plan attempt, to take records out of it before the plan is published. */
export async function readStaged(
  db: pg.ClientBase,
  { run, plan, seq }: StagedUpsert,
): Promise<{ ops: string; payload: Buffer; entries: Buffer } | null> {
  const { rows } = await db.query<{ ops: string; payload: Buffer; entries: Buffer }>(
    `select ops, payload, entries from batch where run = $1 and plan = $2 and seq = $3 and phase = 'upsert'`,
    [run, plan, seq],
  )
  return rows[0] ?? null
}

/** Replaces a staged batch by what is left of it; null: nothing is. */
export async function rewriteStaged(
  db: pg.ClientBase,
  { run, plan, seq }: StagedUpsert,
  left: (PackedSegment & { ops: string; payload: Buffer }) | null,
): Promise<void> {
  if (!left) {
    await db.query(`delete from batch where run = $1 and plan = $2 and seq = $3 and phase = 'upsert'`, [run, plan, seq])
    return
  }
  await db.query(
    `update batch set first_key = $4, last_key = $5, size = $6, ops = $7, payload = $8, entries = $9
     where run = $1 and plan = $2 and seq = $3 and phase = 'upsert'`,
    [run, plan, seq, left.firstKey, left.lastKey, left.size, left.ops, left.payload, left.entries],
  )
}

/** Makes staged batches doubtful: they are read back before they are sent, not before `waitMs` have passed. */
export async function doubtStaged(
  db: pg.ClientBase,
  { run, plan }: Omit<StagedUpsert, 'seq'>,
  batches: readonly { readonly seq: number; readonly waitMs: number }[],
): Promise<void> {
  await db.query(
    `update batch b set doubtful = true, not_before = greatest(b.not_before, clock_timestamp() + d.wait_ms * interval '1 millisecond')
     from unnest($3::int[], $4::float8[]) as d (seq, wait_ms) where b.run = $1 and b.plan = $2 and b.seq = d.seq and b.phase = 'upsert'`,
    [run, plan, batches.map(({ seq }) => seq), batches.map(({ waitMs }) => waitMs)],
  )
}

export interface PlanBooks {
  /** Rows that cannot be sent, found by this plan; they replace what earlier plans found. */
  readonly invalid: readonly NewRejection[]
  /** Rejections that no row stands behind any more. */
  readonly settledRejections: readonly Buffer[]
  /** Old match values of records that this plan renames. */
  readonly renamed: readonly { key: Buffer; match: string }[]
  /** Old match values that turned out to be the current one, or another row's for good. */
  readonly currentAgain: readonly { key: Buffer; match: string }[]
  /** Keys that left and of which nothing is in doubt any more. */
  readonly certain: readonly Buffer[]
}

/** What a plan means for the baseline once its delivery begins. */
export interface PlannedBaseline {
  readonly generation: number
  readonly keyParts: string
  /** Entries that end, as removals. */
  readonly lapses: readonly PackedSegment[]
}

/**
 * Publishes a plan by compare-and-set (invariant 10): the first attempt that gets here wins, whole; false says that another one
 * did or that the run is not the sync's active run. A dry run leaves the books alone.
 */
export async function publishPlan(
  db: pg.Pool,
  {
    run,
    sync,
    published,
    books,
    baseline,
    dryRun,
    beganAt,
  }: { run: string; sync: string; published: PublishedPlan; books: PlanBooks; baseline: PlannedBaseline; dryRun: boolean; beganAt: Date },
): Promise<boolean> {
  return inTransaction(db, async (client) => {
    const { rowCount } = await client.query(
      `update run set plan = $3, planned = $4, upsert_batches = $5, remove_batches = $6, plan_began_at = $7, generation = $8, key_parts = $9
       where id = $1 and plan is null and finished_at is null and exists (select 1 from sync_state where sync = $2 and active_run = $1 for share)`,
      [
        run,
        sync,
        published.plan,
        JSON.stringify({ ...published.counts, holds: published.holds, bulk: published.bulk }),
        published.upsertBatches,
        published.removeBatches,
        beganAt,
        baseline.generation,
        baseline.keyParts,
      ],
    )
    if (rowCount !== 1) return false
    await client.query('delete from batch where run = $1 and plan <> $2', [run, published.plan])
    if (!dryRun) {
      await keepLapses(client, run, baseline.lapses)
      await moveBooks(client, run, sync, books)
    }
    return true
  })
}

async function keepLapses(client: pg.ClientBase, run: string, lapses: readonly PackedSegment[]): Promise<void> {
  await client.query(`insert into lapse select $1, * from unnest($2::bytea[], $3::bytea[], $4::int[], $5::bytea[])`, [
    run,
    lapses.map((block) => block.firstKey),
    lapses.map((block) => block.lastKey),
    lapses.map((block) => block.size),
    lapses.map((block) => block.entries),
  ])
}

/** Within the transaction that publishes a plan. */
export async function moveBooks(client: pg.ClientBase, run: string, sync: string, books: PlanBooks): Promise<void> {
  for (let at = 0; at < books.invalid.length; at += 1000) {
    const some = books.invalid.slice(at, at + 1000)
    await client.query(
      `insert into rejection as old (sync, id, key, op, fingerprint, class, code, field, message, run)
       select $1, r.id, r.key::jsonb, r.op, r.fingerprint, r.class, r.code, r.field, r.message, $2
       from unnest($3::bytea[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::text[], $10::text[])
         as r (id, key, op, fingerprint, class, code, field, message)
       on conflict (sync, id) do update set key = excluded.key, op = excluded.op, class = excluded.class, code = excluded.code, field = excluded.field,
         message = excluded.message, run = excluded.run, last_at = clock_timestamp(), fingerprint = excluded.fingerprint, next_attempt = null,
         attempts = case when old.fingerprint = excluded.fingerprint then old.attempts + 1 else 1 end,
         first_at = case when old.fingerprint = excluded.fingerprint then old.first_at else excluded.first_at end`,
      [
        sync,
        run,
        some.map((r) => r.id),
        some.map((r) => JSON.stringify(r.key)),
        some.map((r) => r.op),
        some.map((r) => r.fingerprint),
        some.map((r) => r.class),
        some.map((r) => r.code),
        some.map((r) => r.field),
        some.map((r) => r.message),
      ],
    )
  }
  await client.query(`delete from rejection where sync = $1 and ((class = 'invalid' and run <> $2) or id = any($3::bytea[]))`, [
    sync,
    run,
    books.settledRejections,
  ])
  await client.query(
    `insert into stale_match (sync, key, match) select $1, key, match from unnest($2::bytea[], $3::text[]) as m (key, match) on conflict do nothing`,
    [sync, books.renamed.map((m) => m.key), books.renamed.map((m) => m.match)],
  )
  await client.query(
    `delete from stale_match s using unnest($2::bytea[], $3::text[]) as m (key, match) where s.sync = $1 and s.key = m.key and s.match = m.match`,
    [sync, books.currentAgain.map((m) => m.key), books.currentAgain.map((m) => m.match)],
  )
  await client.query('delete from doubt where sync = $1 and key = any($2::bytea[]) and not_before <= clock_timestamp()', [
    sync,
    books.certain,
  ])
}
