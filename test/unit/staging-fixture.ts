import { createHash, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { unpackLines } from '../../activities/plan/batch.ts'
import type { PlannedRow } from '../../activities/plan/plan-sink.ts'
import { StagingSink } from '../../activities/plan/staging-sink.ts'
import type { BookEntry } from '../../state/books.ts'
import { PlanTables } from '../../state/plan-tables.ts'
import { unpack } from '../../state/segment.ts'
import { newRun, newSync } from '../contract/state-fixture.ts'

export const hashMatch = (match: string) => createHash('md5').update(match.toLowerCase()).digest()

/** A sink for batches of three, in a session of its own. */
export async function openSink(
  db: pg.Pool,
  work: (ground: { sink: StagingSink; tables: PlanTables; read: () => ReturnType<typeof staged> }) => Promise<void>,
  options: { readBackFirst?: boolean; carriesMatch?: boolean; groupBy?: string } = {},
) {
  const run = await newRun(db, newSync())
  const client = await db.connect()
  try {
    const tables = new PlanTables(client)
    await tables.create()
    const sink = new StagingSink({
      client,
      tables,
      ids: {
        sync: 's',
        run,
        plan: randomUUID(),
        version: (key, match) => `${Buffer.from(key).toString()}${match === null ? '' : `/${match}`}`,
      },
      batchSize: 3,
      carriesMatch: options.carriesMatch ?? true,
      hashMatch,
      matchField: 'email',
      readBackFirst: options.readBackFirst ?? false,
      groupBy: options.groupBy ?? null,
    })
    await work({ sink, tables, read: () => staged(db, run) })
  } finally {
    client.release(true)
  }
}

/** What is staged, as text. */
async function staged(pool: pg.Pool, run: string) {
  const { rows } = await pool.query<{
    phase: string
    seq: number
    ops: string
    size: number
    doubtful: boolean
    on_books: boolean
    wait: number | null
    payload: Buffer
    entries: Buffer
    first_key: Buffer
    last_key: Buffer
  }>(`select *, extract(epoch from not_before - planned_at)::float8 * 1000 as wait from batch where run = $1 order by phase desc, seq`, [
    run,
  ])
  return rows.map((row) => ({
    kind: `${row.phase} ${row.seq} ${row.ops}${row.doubtful ? ' doubtful' : ''}${row.on_books ? ' books' : ''}`,
    keys: unpack(row.entries).map(({ key }) => key.toString()),
    matches: unpack(row.entries).map(({ match }) => match),
    ends: [row.first_key.toString(), row.last_key.toString()],
    lines: unpackLines(row.payload),
    wait: row.wait === null ? null : Math.round(row.wait / 1000),
  }))
}

export const book = (more: Partial<BookEntry> = {}): BookEntry => ({
  key: Buffer.alloc(0),
  doubtMs: null,
  staleMatches: [],
  rejection: null,
  ...more,
})
export const row = (key: string, more: Partial<PlannedRow> = {}): PlannedRow => ({
  op: 'added',
  key: Buffer.from(key),
  keyTexts: [key],
  fingerprint: Buffer.alloc(16, 1),
  fields: `{"email":"${key}@x"}`,
  match: `${key}@x`,
  book: null,
  ...more,
})
export const removal = (key: string, match: string, more: Partial<Parameters<StagingSink['removal']>[0]> = {}) => ({
  key: Buffer.from(key),
  keyTexts: [key],
  match,
  counted: true,
  book: null,
  renames: false,
  ...more,
})
