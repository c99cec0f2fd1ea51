import type pg from 'pg'
import { ACTIVE_RUN } from './fence.ts'
import type { PackedSegment } from './segment.ts'

export interface NewRejection {
  readonly id: Buffer
  /** The key's text, or an array of texts; null parts where the key is NULL. */
  readonly key: string | readonly (string | null)[] | null
  readonly op: string
  readonly fingerprint: Buffer
  readonly class: string
  readonly code: string
  readonly field: string | null
  readonly message: string
  /** Milliseconds until it may be tried again by itself, by earlier attempts (index 0: first); null: waits for a new version or a person. */
  readonly retryAfterMs: readonly number[] | null
}

export interface Settlement {
  readonly id: number
  readonly attempt: number
  readonly sync: string
  readonly generation: number
  readonly delivered: number
  readonly skipped: number
  readonly rejected: number
  /** What the baseline learns: `all` the batch's own entries, a part of them, or nothing. */
  readonly acknowledged: 'all' | PackedSegment | null
  readonly outcomes: Record<string, { outcome: string; code?: string; message?: string }> | null
  readonly rejections: readonly NewRejection[]
  /** Rows of the books that these acknowledged records close; empty for most batches. */
  readonly closed: { readonly keys: readonly Buffer[]; readonly matches: readonly { key: Buffer; match: string }[] }
  /** Records that are not settled yet and live on as a child batch. */
  readonly child: ChildBatch | null
}

export interface ChildBatch extends PackedSegment {
  readonly ops: string
  readonly payload: Buffer
  readonly doubtful: boolean
  readonly waitMs: number
}

const CHILD = `insert into batch (run, plan, seq, phase, parent, planned_at, on_books, heir, first_key, last_key, size, ops, payload, entries, doubtful, not_before)
  select b.run, b.plan, b.seq, b.phase, b.id, b.planned_at, b.on_books, b.heir, c.first_key, c.last_key, c.size, c.ops, c.payload, c.entries, c.doubtful,
    clock_timestamp() + c.wait_ms * interval '1 millisecond'`

/**
 * Settles a claimed batch in one statement: outcome, baseline, rejections, doubt and what lives on as a child move together
 * (invariant 2). False: the claim is not ours any more, nothing was changed.
 */
export async function settleBatch(db: pg.Pool, s: Settlement): Promise<boolean> {
  if (s.acknowledged === 'all' && s.rejections.length === 0 && s.closed.keys.length === 0 && s.closed.matches.length === 0 && !s.child)
    return settleWhole(db, s)
  const own = typeof s.acknowledged === 'object' ? s.acknowledged : null
  const { rows } = await db.query(
    `with b as (
       update batch b set state = 'settled', delivered = $3, skipped = $4, rejected = $5, outcomes = $6
       where b.id = $1 and b.attempt = $2 and b.state = 'sending' and ${ACTIVE_RUN}
       returning b.*
     ), acknowledged as (
       insert into baseline_segment (sync, generation, first_key, seq, last_key, size, entries)
       select $7, $8::int, case when $9 then b.first_key else $10 end, nextval('baseline_seq'), case when $9 then b.last_key else $11 end,
         case when $9 then b.size else $12::int end, case when $9 then b.entries else $13 end
       from b where $9 or $10::bytea is not null
     ), refused as (
       insert into rejection as old (sync, id, key, op, fingerprint, class, code, field, message, run, next_attempt)
       select $7, r.id, r.key::jsonb, r.op, r.fingerprint, r.class, r.code, r.field, r.message, b.run,
         clock_timestamp() + (r.retry_ms::jsonb ->> 0)::float8 * interval '1 millisecond'
       from b, unnest($14::bytea[], $15::text[], $16::text[], $17::bytea[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[])
         as r (id, key, op, fingerprint, class, code, field, message, retry_ms)
       on conflict (sync, id) do update set key = excluded.key, op = excluded.op, class = excluded.class, code = excluded.code, field = excluded.field,
         message = excluded.message, run = excluded.run, last_at = clock_timestamp(), fingerprint = excluded.fingerprint,
         attempts = case when old.fingerprint = excluded.fingerprint then old.attempts + 1 else 1 end,
         first_at = case when old.fingerprint = excluded.fingerprint then old.first_at else excluded.first_at end,
         next_attempt = clock_timestamp() + interval '1 millisecond' * (
           select (w.steps ->> least(case when old.fingerprint = excluded.fingerprint then old.attempts else 0 end, jsonb_array_length(w.steps) - 1))::float8
           from (select r2.retry_ms::jsonb as steps from unnest($14::bytea[], $22::text[]) as r2 (id, retry_ms) where r2.id = excluded.id limit 1) w)
     ), cleared as (
       delete from rejection x using b where x.sync = $7 and x.id = any($23::bytea[])
     ), certain as (
       delete from doubt d using b where d.sync = $7 and d.key = any($23::bytea[])
     ), dropped as (
       delete from stale_match m using b, unnest($24::bytea[], $25::text[]) as gone (key, match) where m.sync = $7 and m.key = gone.key and m.match = gone.match
     ), child as (
       ${CHILD} from b, (select $26::bytea as first_key, $27::bytea as last_key, $28::int as size, $29::text as ops, $30::bytea as payload, $31::bytea as entries,
         $32::boolean as doubtful, $33::float8 as wait_ms) c where $26 is not null
     )
     select 1 from b`,
    [
      s.id,
      s.attempt,
      s.delivered,
      s.skipped,
      s.rejected,
      s.outcomes === null ? null : JSON.stringify(s.outcomes),
      s.sync,
      s.generation,
      s.acknowledged === 'all',
      own?.firstKey ?? null,
      own?.lastKey ?? null,
      own?.size ?? null,
      own?.entries ?? null,
      s.rejections.map((r) => r.id),
      s.rejections.map((r) => JSON.stringify(r.key)),
      s.rejections.map((r) => r.op),
      s.rejections.map((r) => r.fingerprint),
      s.rejections.map((r) => r.class),
      s.rejections.map((r) => r.code),
      s.rejections.map((r) => r.field),
      s.rejections.map((r) => r.message),
      s.rejections.map((r) => (r.retryAfterMs ? JSON.stringify(r.retryAfterMs) : null)),
      s.closed.keys,
      s.closed.matches.map((m) => m.key),
      s.closed.matches.map((m) => m.match),
      s.child?.firstKey ?? null,
      s.child?.lastKey ?? null,
      s.child?.size ?? null,
      s.child?.ops ?? null,
      s.child?.payload ?? null,
      s.child?.entries ?? null,
      s.child?.doubtful ?? null,
      s.child?.waitMs ?? null,
    ],
  )
  return rows.length === 1
}

/** The usual case, kept lean: everything was delivered and no book has a row for it. */
async function settleWhole(db: pg.Pool, s: Settlement): Promise<boolean> {
  const { rows } = await db.query({
    // Named, as in claimBatch.
    name: 'settle_whole',
    text: `with b as (
       update batch b set state = 'settled', delivered = $3, skipped = $4, outcomes = $7
       where b.id = $1 and b.attempt = $2 and b.state = 'sending' and ${ACTIVE_RUN}
       returning b.first_key, b.last_key, b.size, b.entries
     ), acknowledged as (
       insert into baseline_segment (sync, generation, first_key, seq, last_key, size, entries)
       select $5, $6::int, b.first_key, nextval('baseline_seq'), b.last_key, b.size, b.entries from b
     )
     select 1 from b`,
    values: [s.id, s.attempt, s.delivered, s.skipped, s.sync, s.generation, s.outcomes === null ? null : JSON.stringify(s.outcomes)],
  })
  return rows.length === 1
}

/**
 * Replaces a claimed batch, of which nothing was applied, by its halves; they are written down before they are sent. Their ids, in
 * order. Null: the claim is not ours any more, nothing was changed.
 */
export async function splitBatch(
  db: pg.Pool,
  batch: { id: number; attempt: number },
  halves: readonly ChildBatch[],
): Promise<number[] | null> {
  const { rows } = await db.query<{ id: number }>(
    `with b as (
       update batch b set state = 'split' where b.id = $1 and b.attempt = $2 and b.state = 'sending' and ${ACTIVE_RUN} returning b.*
     ), child as (
       ${CHILD} from b, unnest($3::bytea[], $4::bytea[], $5::int[], $6::text[], $7::bytea[], $8::bytea[], $9::boolean[], $10::float8[])
         as c (first_key, last_key, size, ops, payload, entries, doubtful, wait_ms)
       returning id
     )
     select id from child order by id`,
    [
      batch.id,
      batch.attempt,
      halves.map((c) => c.firstKey),
      halves.map((c) => c.lastKey),
      halves.map((c) => c.size),
      halves.map((c) => c.ops),
      halves.map((c) => c.payload),
      halves.map((c) => c.entries),
      halves.map((c) => c.doubtful),
      halves.map((c) => c.waitMs),
    ],
  )
  return rows.length > 0 ? rows.map(({ id }) => id) : null
}
