import { readFileSync, writeFileSync } from 'node:fs'
import { createXXHash128 } from 'hash-wasm'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { Pool } from 'undici'
import { BareStore, STAGED_AT_ONCE } from './bare-store.ts'
import { scriptInput } from './child.ts'
import { COLUMNS, PLAIN_COPY } from './warehouse.ts'

/**
 * What a person would write in an afternoon: extract, hash, compare with a file of hashes, map, POST in a sliding window. Nothing
 * is written down before it is sent and nothing after, no Temporal, no state database: what the product is compared with. With
 * `state` it stages every batch in a database before it is sent, and settles it after: what that alone costs.
 */
const input = scriptInput((given) => ({
  url: String(given['url']),
  /** Null: sends nothing. */
  sink: typeof given['sink'] === 'string' ? given['sink'] : null,
  batch: Number(given['batch']),
  concurrency: Number(given['concurrency']),
  /** Hashes of the last time, 16 bytes a row in key order; null: everything is new. */
  known: typeof given['known'] === 'string' ? given['known'] : null,
  /** Where to leave the hashes. */
  keep: typeof given['keep'] === 'string' ? given['keep'] : null,
  /** Database of batches; null: none is written down. */
  state: typeof given['state'] === 'string' ? given['state'] : null,
}))

const HASH_BYTES = 16
const NEWLINE = 10
const TAB = 9
const QUOTED = COLUMNS.map((name) => !['id', 'active', 'amount', 'props', 'score'].includes(name))

const known = input.known === null ? null : readFileSync(input.known)
const kept: Buffer[] = []
const hasher = await createXXHash128()
const pool = input.sink === null ? null : new Pool(input.sink, { connections: input.concurrency, pipelining: 1 })
const store = input.state === null ? null : await BareStore.open(input.state, input.concurrency)
const client = new pg.Client({ connectionString: input.url })
await client.connect()

const startedMs = performance.now()
const inFlight = new Set<Promise<void>>()
let lines: string[] = []
let entries: Buffer[] = []
let staging: { body: string; entries: Buffer }[] = []
let row = 0
let rest = Buffer.alloc(0)
for await (const chunk of client.query(copyTo(PLAIN_COPY, { highWaterMark: 1 << 18 }))) {
  if (!Buffer.isBuffer(chunk)) continue
  const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const line = bytes.subarray(start, end)
    start = end + 1
    const hash = hasher.init().update(line).digest('binary')
    const at = row++ * HASH_BYTES
    if (input.keep !== null) kept.push(Buffer.from(hash))
    if (known?.compare(hash, 0, HASH_BYTES, at, at + HASH_BYTES) === 0) continue
    lines.push(recordOf(line.toString('utf8')))
    if (store !== null) entries.push(line.subarray(0, line.indexOf(TAB)), Buffer.from(hash))
    if (lines.length === input.batch) await send()
  }
  rest = Buffer.from(bytes.subarray(start))
}
if (lines.length > 0) await send()
if (store !== null) await sendStaged(store)
await Promise.all(inFlight)
const seconds = (performance.now() - startedMs) / 1000

await client.end()
await pool?.close()
await store?.close()
if (input.keep !== null) writeFileSync(input.keep, Buffer.concat(kept))
process.send?.({ seconds })

async function send(): Promise<void> {
  const body = `{"type":"records.changed","data":{"records":[${lines.join(',')}]}}`
  lines = []
  if (store === null) return inWindow((to) => post(to, body))
  staging.push({ body, entries: Buffer.concat(entries) })
  entries = []
  if (staging.length === STAGED_AT_ONCE) await sendStaged(store)
}

async function sendStaged(to: BareStore): Promise<void> {
  const ids = await to.stage(staging)
  for (const [i, id] of ids.entries()) {
    const { body = '' } = staging[i] ?? {}
    await inWindow((sink) => post(sink, body).then(() => to.settle(id)))
  }
  staging = []
}

/** Waits while the window is full. */
async function inWindow(work: (sink: Pool) => Promise<void>): Promise<void> {
  if (pool === null) return
  while (inFlight.size >= input.concurrency) await Promise.race(inFlight)
  const request: Promise<void> = work(pool).finally(() => inFlight.delete(request))
  inFlight.add(request)
}

async function post(to: Pool, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await to.request({ method: 'POST', path: '/', headers, body })
  await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`the sink answered ${answer.statusCode}`)
}

function recordOf(line: string): string {
  const values = line.split('\t')
  const fields = values.map((text, i) => `"${COLUMNS[i] ?? ''}":${QUOTED[i] === true ? JSON.stringify(text) : jsonOf(text)}`)
  const key = values[0] ?? ''
  return `{"id":"${key.padStart(32, '0')}","op":"upsert","key":"${key}","fields":{${fields.join(',')}}}`
}

function jsonOf(text: string): string {
  return text === 't' ? 'true' : text === 'f' ? 'false' : text
}
