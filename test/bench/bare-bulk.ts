import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { Pool } from 'undici'
import { scriptInput } from './child.ts'
import { ACCOUNT_FIELDS, COLUMNS, TABLE } from './warehouse.ts'

/**
 * What a person would write in an afternoon: the warehouse's own CSV, cut into jobs, uploaded one after the other, and their results
 * counted. Nothing is written down before or after.
 */
const input = scriptInput((given) => ({ url: String(given['url']), sink: String(given['sink']) }))
const JOB_RECORDS = 150_000
const NEWLINE = 10
const JOBS = '/services/data/v66.0/jobs/ingest'

const pool = new Pool(input.sink, { connections: 3, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
const client = new pg.Client({ connectionString: input.url })
await client.connect()

const startedMs = performance.now()
const header = Buffer.from(`${ACCOUNT_FIELDS.join(',')}\n`)
let [chunks, records, loaded]: [Buffer[], number, number] = [[header], 0, 0]
const copy = `COPY (select ${COLUMNS.join(', ')} from ${TABLE} order by id) TO STDOUT (format csv)`
for await (const chunk of client.query(copyTo(copy, { highWaterMark: 1 << 18 }))) {
  if (!Buffer.isBuffer(chunk)) continue
  let start = 0
  for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, end + 1)) {
    if (++records % JOB_RECORDS !== 0) continue
    chunks.push(chunk.subarray(start, end + 1))
    start = end + 1
    await load()
  }
  chunks.push(Buffer.from(chunk.subarray(start)))
}
if (records % JOB_RECORDS !== 0) await load()
const seconds = (performance.now() - startedMs) / 1000
await client.end()
await pool.close()
if (loaded !== records) throw new Error(`${loaded} of ${records} records came back`)
process.send?.({ seconds })

async function load(): Promise<void> {
  const csv = Buffer.concat(chunks)
  chunks = [header]
  const { id } = JSON.parse(await call('POST', '', '{}')) as { id: string }
  await call('PUT', `/${id}/batches`, csv)
  await call('PATCH', `/${id}`, '{"state":"UploadComplete"}')
  const results = await call('GET', `/${id}/successfulResults/`)
  for (let at = results.indexOf('\n'); at !== -1; at = results.indexOf('\n', at + 1)) loaded++
  loaded--
}

async function call(method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, body?: string | Buffer): Promise<string> {
  const answer = await pool.request({ method, path: JOBS + path, ...(body === undefined ? {} : { body }) })
  const text = await answer.body.text()
  if (answer.statusCode >= 300) throw new Error(`the sink answered ${answer.statusCode}`)
  return text
}
