import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createContacts, documents, some } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** Traces over OTLP/HTTP, from an API call through the workflow to each request, as a collector gets them. */
interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly attributes: { key: string; value: unknown }[]
}

let stack: Stack
let server: Server
const bodies: string[] = []
const spans: Span[] = []
let look = (): void => {}

before(async () => {
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      bodies.push(text)
      const { resourceSpans } = JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }
      spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)))
      response.writeHead(request.url === '/v1/traces' ? 200 : 404, { 'content-type': 'application/json' }).end('{}')
      look()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  stack = await startStack({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' })
  await stack.start('api')
  await stack.start('worker')
  await createContacts(stack, some(30))
})
after(async () => {
  await stack.stop()
  server.close()
  server.closeAllConnections()
})

function until(enough: () => boolean, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`never came: ${what}; there are ${spans.map(({ name }) => name).join(', ')}`)), 60_000)
    look = () => {
      if (!enough()) return
      clearTimeout(late)
      resolve()
    }
    look()
  })
}

/** Names from a span up to the root of its trace. */
function way(span: Span | undefined): string[] {
  if (!span) return []
  return [span.name, ...way(spans.find(({ traceId, spanId }) => traceId === span.traceId && spanId === span.parentSpanId))]
}

/** By a caller that has a trace of its own. */
async function startRun(traceId: string, options = {}): Promise<string> {
  const response = await fetch(`${stack.env['TAILRACE_URL']}/v1/syncs/contacts/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-${'b'.repeat(16)}-01` },
    body: JSON.stringify(options),
  })
  return ((await response.json()) as { id: string }).id
}

test('one trace from the caller through API, workflow and activity to the request; no URL, no value in it', async () => {
  await stack.apply(documents(stack, 'hubspot'))
  const traceId = 'a'.repeat(32)
  const first = await startRun(traceId)
  // It waits for the first one and is started by a worker: its caller's trace is known all the same.
  const followerTraceId = 'c'.repeat(32)
  const follower = await startRun(followerTraceId, { onConflict: 'queue' })
  assert.equal((await stack.ended(first)).state, 'succeeded')
  assert.equal((await stack.ended(follower)).state, 'succeeded')
  await stack.call('GET', '/v1/syncs/contacts/records/5')
  const ofWorkflow = (trace: string) => spans.some(({ traceId, name }) => traceId === trace && name === 'RunWorkflow:syncRun')
  await until(() => ofWorkflow(traceId), 'the end of the workflow')
  await until(() => ofWorkflow(followerTraceId), 'the end of the workflow that waited')
  await until(() => spans.some(({ name }) => name.startsWith('GET /v1/syncs/:name/records')), 'the span of a look at a record')
  await until(() => spans.some(({ name }) => name === 'POST /v1/syncs/:name/runs'), 'the span of the call')

  const send = spans.find(({ name }) => name === 'batch upsert of contacts')
  const wholeWay = [
    'batch upsert of contacts',
    'RunActivity:deliver',
    'StartActivity:deliver',
    'RunWorkflow:syncRun',
    'StartWorkflow:syncRun',
    'POST /v1/syncs/:name/runs',
  ]
  assert.deepEqual(way(send), wholeWay)
  assert.equal(send?.traceId, traceId)
  assert.equal(spans.find(({ name }) => name === 'POST /v1/syncs/:name/runs')?.parentSpanId, 'b'.repeat(16))
  const told = bodies.join('\n')
  assert.doesNotMatch(told, /person\d|example\.com|pat-test-token|whsec_|records\/5|\/crm\/|postgres:/)
})
