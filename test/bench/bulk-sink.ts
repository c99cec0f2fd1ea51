import { createServer, type IncomingMessage } from 'node:http'
import { scriptInput } from './child.ts'

/**
 * An org that does nothing: takes bulk jobs, counts their rows and gives each of them back as written, after the latency. No sandbox:
 * its bookkeeping would be measured instead of the loader.
 */
const { latencyMs, fields } = scriptInput((input) => ({
  latencyMs: Number(input['latencyMs']),
  fields: Array.isArray(input['fields']) ? input['fields'].map(String) : [],
}))
const NEWLINE = 10
const SUCCESS = '001000000000001AAA,false,'

const jobs = new Map<string, { state: string; csv: Buffer }>()
let [requests, records, made] = [0, 0, 0]

const server = createServer((request, response) => {
  void body(request).then((bytes) => {
    const path = (request.url ?? '/').replace('/services/data/v66.0', '')
    if (path === '/') return response.end(JSON.stringify({ requests, records }))
    requests++
    const { status, text, type } = answer(request.method ?? 'GET', path, bytes, `http://${request.headers.host ?? ''}`)
    return setTimeout(() => response.writeHead(status, { 'content-type': type ?? 'application/json' }).end(text), latencyMs)
  })
})
server.keepAliveTimeout = 600_000
server.requestTimeout = 0
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})

async function body(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function answer(method: string, path: string, bytes: Buffer, base: string): { status: number; text: string; type?: string } {
  const json = (value: object): { status: number; text: string } => ({ status: 200, text: JSON.stringify(value) })
  if (path === '/services/oauth2/token') return json({ access_token: 'a', instance_url: base, id: `${base}/id/o/u` })
  if (path.endsWith('/describe'))
    return json({ name: 'Account', keyPrefix: '001', createable: true, updateable: true, fields: fields.map(described) })
  if (path === '/limits')
    return json({ DailyApiRequests: { Max: 1e6, Remaining: 1e6 }, DailyBulkApiBatches: { Max: 15_000, Remaining: 15_000 } })
  const [, , , id = `750${++made}`, part = ''] = path.split('/')
  const job = jobs.get(id) ?? { state: 'Open', csv: Buffer.alloc(0) }
  jobs.set(id, job)
  if (method === 'DELETE') jobs.delete(id)
  if (method === 'PUT') {
    job.csv = bytes
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) records++
    records--
    return { status: 201, text: '' }
  }
  if (method === 'PATCH') job.state = 'JobComplete'
  if (part === 'successfulResults') return { status: 200, type: 'text/csv', text: results(job.csv) }
  if (part !== '') return { status: 200, type: 'text/csv', text: '' }
  return json({ id, state: job.state, createdById: '005', numberRecordsProcessed: 0 })
}

/** Every line with the two columns in front that Salesforce adds. */
function results(csv: Buffer): string {
  const [header = '', ...lines] = csv.toString('utf8').split('\n')
  return [`sf__Id,sf__Created,${header}`, ...lines.map((line) => (line === '' ? '' : SUCCESS + line))].join('\n')
}

function described(name: string): object {
  const key = name === 'External_Id__c'
  return {
    name,
    label: name,
    type: 'string',
    length: 255,
    createable: true,
    updateable: true,
    nillable: true,
    externalId: key,
    unique: key,
    caseSensitive: false,
  }
}
