import { createServer } from 'node:http'
import { scriptInput } from './child.ts'

/**
 * A receiver that does nothing: takes a body, waits for the latency, answers `{}`. Counts requests and records. No sandbox:
 * its bookkeeping would be measured instead of the sender.
 */
const latencyMs = scriptInput((input) => Number(input['latencyMs']))
const RECORD = Buffer.from('"op":"')
let requests = 0
let records = 0

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (request.method === 'GET') {
      response.end(JSON.stringify({ requests, records }))
      return
    }
    requests++
    records += countRecords(Buffer.concat(chunks))
    if (latencyMs === 0) response.end('{}')
    else setTimeout(() => response.end('{}'), latencyMs)
  })
})
// A sender that keeps its connections must not find them closed.
server.keepAliveTimeout = 600_000
server.requestTimeout = 0
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})

function countRecords(body: Buffer): number {
  let found = 0
  for (let at = body.indexOf(RECORD); at !== -1; at = body.indexOf(RECORD, at + RECORD.length)) found++
  return found
}
