import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { WebSocket } from 'undici'
import { freePort } from '../../server/embedded/port.ts'
import { accept, createContacts, documents, exactlyOnce, fault, holding, release, some } from '../harness/contacts.ts'
import { eventually } from '../harness/eventually.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'

/** A worker whose event loop hangs: the probe tells it, Kubernetes kills it, another worker goes on. */
let stack: Stack
let worker: Role
let probe: string
let timeoutMs: number

before(async () => {
  stack = await startStack()
  const port = await freePort()
  probe = `http://127.0.0.1:${port}/livez`
  const pod = await readFile('infra/helm/tailrace/templates/_pod.tpl', 'utf8')
  timeoutMs = 1000 * Number(/path: \/livez[^]*?timeoutSeconds: (\d+)/.exec(pod)?.[1])
  await stack.start('api')
  worker = await stack.start('worker', { TAILRACE_METRICS_PORT: String(port), NODE_OPTIONS: '--inspect-port=0' })
  await createContacts(stack, some(30))
  await stack.apply(documents(stack, 'hubspot'))
})
after(() => stack.stop())

/** As the kubelet asks, with the patience that the chart gives it: the status, or null for no answer. */
async function live(): Promise<number | null> {
  const answer = await fetch(probe, { signal: AbortSignal.timeout(timeoutMs) }).catch(() => null)
  return answer?.status ?? null
}

/** Runs code in the worker's main thread by Node's debugger, and does not wait for its end. */
async function evaluate(expression: string): Promise<void> {
  worker.process.kill('SIGUSR1')
  const url = await eventually('the debugger of the worker', async () => /ws:\/\/\S+/.exec(worker.output())?.[0] ?? null)
  const debugger_ = new WebSocket(url)
  await once(debugger_, 'open')
  debugger_.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
}

test('a hanging event loop fails the liveness probe, and what the worker had in flight is done by the next one', async () => {
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'after' })
  const id = await accept(stack)
  await holding(stack, 1)
  assert.equal(await live(), 200)
  await evaluate('for (;;) {}')
  assert.equal(await eventually('a probe without an answer', async () => ((await live()) === null ? 'none' : null)), 'none')
  assert.equal(await live(), null)
  // It does not hear SIGTERM either; Kubernetes ends it when its grace is over.
  worker.process.kill('SIGTERM')
  assert.equal(await live(), null)
  await worker.kill()
  await release(stack)
  await stack.start('worker')
  assert.equal((await stack.ended(id)).state, 'succeeded')
  await exactlyOnce(stack, 'hubspot', 30)
})
