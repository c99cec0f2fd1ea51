import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accept, createContacts, documents, fault, held, holding, release, report, settings, some, wanted } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

/** Several workers and syncs on one account of a destination: they share its rate. The stand-in counts, and refuses what is too much. */
let stack: Stack

before(async () => {
  stack = await startStack()
  await stack.start('api')
  await Promise.all([stack.start('worker'), stack.start('worker')])
})
after(() => stack.stop())

test('two workers and two syncs on one account never exceed its rate', async () => {
  await createContacts(stack, some(4_000))
  const [source, model, destination, sync] = documents(stack, 'hubspot', { mode: 'upsert' }, { requestsPerSecond: 2, timeoutSeconds: 20 })
  const half = (name: string, rest: number) => [
    { ...model, name, sql: `select * from contacts where id % 2 = ${rest}` },
    { ...destination, name },
    { ...sync, name, model: name, destination: name },
  ]
  await stack.apply([source ?? {}, ...half('even', 0), ...half('odd', 1)])
  // A bucket of one second: at most 2 at once and 2 a second after that, in any ten seconds, and the 2 that are held below come when
  // their time is over; there is twice as much to send.
  await settings(stack, { hubspot: { perTenSeconds: 24 } })
  // Both are delivering before either may send, so that they compete.
  await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', times: 2 })
  const runs = [await accept(stack, 'even'), await accept(stack, 'odd')]
  await holding(stack, 2)
  await release(stack)
  for (const id of runs) {
    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 2_000], JSON.stringify(run))
  }
  assert.deepEqual(await held(stack, 'hubspot'), await wanted(stack))
  const { totals, findings } = await report(stack, 'hubspot')
  assert.deepEqual([totals.effective, totals.repeated, findings['throttledRequests']], [4_000, 0, 0])
})
