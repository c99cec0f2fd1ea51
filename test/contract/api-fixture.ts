import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { packLines } from '../../activities/plan/batch.ts'
import type { InspectRequest } from '../../activities/launch/inspect-request.ts'
import { KeyCodec, type KeyPart } from '../../connectors/keys.ts'
import { buildApi } from '../../server/api/app.ts'
import type { RunControl } from '../../server/api/deps.ts'
import { createApiMetrics } from '../../server/api/metrics.ts'
import type { TokenStore } from '../../server/api/tokens.ts'
import { createLogger } from '../../server/logger.ts'
import { migrate } from '../../state/migrate.ts'
import { freshDatabase } from '../harness/database.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  readonly body: Record<string, unknown>
}

export type ApiFixture = Awaited<ReturnType<typeof startApi>>

/** The API on a database of its own. Temporal's part and the worker's answers are the test's. */
export async function startApi({ tokens = null }: { tokens?: TokenStore | null } = {}) {
  const database = await freshDatabase()
  const { pool: db } = database
  await migrate(db)
  const asked: string[] = []
  const control = recordingControl(asked)
  const worker = { answer: async (request: InspectRequest): Promise<unknown> => ({ ok: true, detail: request.kind }) }
  const logged = new PassThrough()
  let log = ''
  logged.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const metrics = createApiMetrics(db)
  const app = await buildApi({
    db,
    log: createLogger({ level: 'info', name: 'api', destination: logged }),
    metrics,
    tokens,
    uiUrl: 'http://ui.test',
    namespace: 'ns',
    control,
    inspect: (request) => worker.answer(request),
    temporalUp: async () => true,
    traceRequests: null,
  })
  await app.ready()
  return {
    app,
    db,
    asked,
    control,
    worker,
    metrics,
    log: () => log,
    call: (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, more: Pick<InjectOptions, 'payload' | 'headers'> = {}) =>
      call(app, { method, url, ...more }),
    async stop() {
      await app.close()
      await database.drop()
    },
  }
}

async function call(app: FastifyInstance, options: InjectOptions): Promise<Answer> {
  const ask = () => app.inject({ ...options, headers: { host: 'localhost', ...options.headers } })
  let { statusCode, headers, payload } = await ask()
  // On a loaded machine the API says that it is busy, before it does anything; a client asks again.
  for (let tries = 0; tries < 120 && statusCode === 503 && payload.includes('"code":"busy"'); tries++) {
    await sleep(500)
    ;({ statusCode, headers, payload } = await ask())
  }
  return {
    status: statusCode,
    headers,
    text: payload,
    body: /json/.test(String(headers['content-type'])) ? (JSON.parse(payload) as Record<string, unknown>) : {},
  }
}

export type RecordingControl = { -readonly [K in keyof RunControl]: RunControl[K] }

function recordingControl(asked: string[]): RecordingControl {
  return {
    async start(run) {
      asked.push(`start ${run.id}`)
    },
    endTerminated: async () => false,
    async cancel(run) {
      asked.push(`cancel ${run.id}`)
      return true
    },
    async signal(run, name) {
      asked.push(`${name} ${run.id}`)
      return true
    },
    async answer(run, name) {
      asked.push(`${name} ${run.id}`)
      return true
    },
  }
}

export async function insertSync({ db }: Pick<ApiFixture, 'db'>, name: string, keyParts?: readonly KeyPart[]): Promise<void> {
  const spec = { model: 'm', destination: 'd', mode: 'upsert', fields: { a: 'a' } }
  await db.query(`insert into resource (kind, name, spec) values ('Sync', $1, $2)`, [name, JSON.stringify(spec)])
  if (keyParts) await db.query('insert into sync_state (sync, generation, key_parts) values ($1, 1, $2)', [name, keyParts.join(',')])
}

export interface RunSeed {
  readonly sync: string
  readonly state?: string
  readonly slot?: 'active' | 'next' | null
  readonly dryRun?: boolean
  readonly planned?: Readonly<Record<string, number>>
  readonly owed?: number
  readonly temporalRunId?: string
  /** As a plan notes them. */
  readonly keyParts?: readonly KeyPart[]
}

export async function insertRun({ db }: Pick<ApiFixture, 'db'>, seed: RunSeed): Promise<{ id: string; plan: string }> {
  const [id, plan] = [randomUUID(), randomUUID()]
  const { sync, state = 'succeeded', slot = null, dryRun = false, planned = null, owed = null, temporalRunId = null, keyParts } = seed
  await db.query(
    `insert into run (id, sync, slot, state, trigger, dry_run, plan, planned, owed, temporal_run_id, key_parts, generation, started_at, finished_at)
     values ($1, $2, $3, $4, 'api', $5, $6, $7, $8, $9, $10, 1, now(), case when $3::text is null then now() end)`,
    [
      id,
      sync,
      slot,
      state,
      dryRun,
      plan,
      planned === null ? null : JSON.stringify(planned),
      owed,
      temporalRunId,
      keyParts?.join(',') ?? null,
    ],
  )
  return { id, plan }
}

export interface SeedRecord {
  readonly key: readonly string[]
  readonly op: 'a' | 'c' | 'r' | 'x' | 'i'
  /** JSON text. */
  readonly fields?: string
  readonly error?: object
  /** What sending an invalid row would have been. */
  readonly change?: 'added' | 'changed'
}

export interface BatchSeed {
  readonly seq?: number
  readonly phase?: 'upsert' | 'remove' | 'invalid'
  readonly state?: string
  readonly attempt?: number
  readonly doubtful?: boolean
  readonly parent?: string
  readonly counts?: { readonly delivered?: number; readonly skipped?: number; readonly rejected?: number }
  readonly outcomes?: object
  readonly records: readonly SeedRecord[]
}

/** Records in key order; gives the batch's id. */
export async function insertBatch(
  { db }: Pick<ApiFixture, 'db'>,
  run: { id: string; plan: string },
  parts: readonly KeyPart[],
  seed: BatchSeed,
): Promise<string> {
  const codec = new KeyCodec(parts)
  const {
    seq = 0,
    phase = 'upsert',
    state = 'settled',
    attempt = 1,
    doubtful = false,
    parent = null,
    counts = {},
    outcomes = null,
    records,
  } = seed
  const { delivered = 0, skipped = 0, rejected = 0 } = counts
  const [first = [], last = first] = [records[0]?.key, records.at(-1)?.key]
  const { rows } = await db.query<{ id: string }>(
    `insert into batch (run, plan, seq, phase, parent, first_key, last_key, size, ops, payload, entries, doubtful, state, attempt, sent_at, delivered, skipped, rejected, outcomes)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', $11, $12, $13, case when $13 > 0 then now() end, $14, $15, $16, $17) returning id`,
    [
      run.id,
      run.plan,
      seq,
      phase,
      parent,
      codec.encode(first),
      codec.encode(last),
      records.length,
      records.map(({ op }) => op).join(''),
      packLines(records.map(lineOf)),
      doubtful,
      state,
      attempt,
      delivered,
      skipped,
      rejected,
      outcomes === null ? null : JSON.stringify(outcomes),
    ],
  )
  return String(rows[0]?.id)
}

function lineOf({ key, op, fields = '{}', error, change = 'added' }: SeedRecord): string {
  const shown = JSON.stringify(key.length === 1 ? key[0] : key)
  if (error) return `{"key":${shown},"op":"upsert","change":"${change}","fields":{},"error":${JSON.stringify(error)}}`
  return `{"id":"id-${key.join('-')}","op":"${op === 'r' || op === 'x' ? 'delete' : 'upsert'}","key":${shown},"fields":${fields}}`
}
