import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { scriptInput } from './child.ts'
import { PLAIN_COPY } from './warehouse.ts'

/** Drains the plain ordered COPY and throws the bytes away. */
const url = scriptInput((input) => String(input['url']))
const client = new pg.Client({ connectionString: url })
await client.connect()
const startedMs = performance.now()
const copy = client.query(copyTo(PLAIN_COPY, { highWaterMark: 1 << 18 }))
let bytes = 0
for await (const chunk of copy) if (Buffer.isBuffer(chunk)) bytes += chunk.length
const seconds = (performance.now() - startedMs) / 1000
await client.end()
process.send?.({ seconds, bytes })
