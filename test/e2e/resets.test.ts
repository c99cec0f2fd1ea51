import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { accept, clearFaults, exactlyOnce, fault, held, holding, release, report, some, startAnew, wanted } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'
import { reset, workflowEnd } from '../harness/workflows.ts'

/** Temporal's Reset, at every point of a run's life: the ledger decides what is still to be sent. Counted at the destination. */
for (const destination of ['hubspot', 'webhook'] as const) {
  describe(`reset · ${destination}`, { timeout: 240_000 }, () => {
    let stack: Stack
    const write = destination === 'hubspot' ? { on: 'hubspot', path: 'batch/upsert' } : { on: 'webhook' }

    before(async () => {
      stack = await startStack()
      await stack.start('api')
      await stack.start('worker')
    })
    after(() => stack.stop())
    beforeEach(() => startAnew(stack, destination, some(35), {}, destination === 'webhook' ? { concurrency: 1 } : {}))

    test('a run was cancelled, the next one settled, the first one is reset to before its cancel: it sends nothing', async () => {
      await stack.run('contacts')
      await stack.warehouse.query(`update contacts set name = 'B'`)
      await fault(stack, { ...write, do: 'hold' })
      const first = await accept(stack)
      await holding(stack, 1)
      await stack.call('POST', `/v1/runs/${first}/cancel`)
      await release(stack)
      const cancelled = await stack.ended(first)
      assert.equal(cancelled.state, 'cancelled', JSON.stringify(cancelled))
      await stack.warehouse.query(`update contacts set name = 'C'`)
      assert.equal((await stack.run('contacts')).state, 'succeeded')
      const { totals } = await report(stack, destination)

      const again = await reset(stack, 'cancel', { runId: cancelled.temporal.runId })
      assert.equal(await workflowEnd(stack, again), 'superseded')
      await exactlyOnce(stack, destination, totals.effective)
      assert.equal((await stack.ended(first)).error?.code, 'cancelled')
      assert.equal((await stack.run('contacts')).counts['unchanged'], 35)
    })

    test('a run that is over is reset to before its delivery: it sends nothing and stays what it was', async () => {
      const run = await stack.run('contacts')
      const again = await reset(stack, 'deliver', { runId: run.temporal.runId })
      assert.equal(await workflowEnd(stack, again), 'superseded')
      assert.deepEqual(await stack.ended(run.id), run)
      await exactlyOnce(stack, destination, 35)
    })

    for (const point of ['plan', 'deliver'] as const) {
      test(`a run is reset to before its ${point} while a batch is claimed and the answer is out: each version takes effect once`, async () => {
        await fault(stack, { ...write, do: 'hold', commit: 'before' })
        const id = await accept(stack)
        await holding(stack, 1)
        const again = await reset(stack, point)
        await release(stack)
        const run = await stack.ended(id)
        assert.deepEqual([run.state, run.counts['delivered'], run.counts['inDoubt']], ['succeeded', 35, 0], JSON.stringify(run))
        assert.equal(await workflowEnd(stack, again), 'completed')
        await exactlyOnce(stack, destination, 35)
      })
    }

    test('an old run is reset while the next one delivers: Temporal ends the new one, and the one after it loses and doubles nothing', async () => {
      const first = await stack.run('contacts')
      await stack.warehouse.query(`update contacts set name = 'B'`)
      await fault(stack, { ...write, do: 'hold', commit: 'before', times: 'always' })
      const second = await accept(stack)
      await holding(stack, 1)
      await workflowEnd(stack, await reset(stack, 'deliver', { runId: first.temporal.runId }))
      await clearFaults(stack)
      await release(stack)
      const third = await stack.run('contacts', { onConflict: 'queue' })
      assert.equal(third.state, 'succeeded', JSON.stringify(third))
      assert.equal((await stack.ended(second)).error?.code, 'terminated')
      assert.deepEqual(await held(stack, destination), await wanted(stack))
      if (destination === 'hubspot') await exactlyOnce(stack, destination, 70)
    })
  })
}
