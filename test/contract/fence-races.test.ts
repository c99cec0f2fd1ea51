import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { claimBatch } from '../../state/ledger.ts'
import { settleBatch } from '../../state/settle.ts'
import type { TestDatabase } from '../harness/database.ts'
import {
  ACCOUNT,
  activate,
  batchIds,
  blocked,
  child,
  claim,
  doubts,
  inFlight,
  newRun,
  openState,
  pack,
  published,
  RECORDS,
  settlement,
  staged,
  stateNames,
  WEBHOOK,
} from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

// The settle of an old worker was under way when the new run closed the batches: it waited for that statement, but did not see
// the child that the statement left. The doubt of that child was lost for the whole run.
test('a child that a statement under way leaves behind is closed as well', async () => {
  for (const options of [{}, WEBHOOK]) {
    const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1, b: 1 })], options)
    const claimed = await claim(db.pool, ids[0] ?? 0)
    const worker = await inFlight(db)
    const left = child({ b: 1 }, { doubtful: true })
    assert.ok(await settleBatch(worker.pool, settlement(sync, claimed, { acknowledged: pack({ a: 1 }), child: left })))
    const next = await newRun(db.pool, sync, options)
    const activating = activate(db.pool, next, sync)
    await blocked(db.pool)
    await worker.commit()
    const { inherited } = await activating
    assert.deepEqual(
      [inherited, ...(await stateNames(db.pool, run))],
      options === WEBHOOK ? [1, 'settled', 'planned'] : [0, 'settled', 'doubt'],
    )
    assert.deepEqual(
      (await doubts(db.pool, sync)).map(({ key }) => key),
      options === WEBHOOK ? [] : ['b'],
    )
  }
})

test('a claim that waits behind the swap finds the batch closed', async () => {
  const { sync, run, ids } = await published(db.pool, [staged(0, { a: 1 })])
  const worker = await inFlight(db)
  // The old worker's claim comes first and is not committed yet: the new run has to see it as sent.
  assert.ok(await claimBatch(worker.pool, { id: ids[0] ?? 0, attempt: 0 }, ACCOUNT))
  const activating = activate(db.pool, await newRun(db.pool, sync), sync)
  await blocked(db.pool)
  await worker.commit()
  await activating
  assert.deepEqual(await stateNames(db.pool, run), ['doubt'])
})

test('swapping the active run under fire: whatever was claimed is settled or in doubt, and nothing of the old run works afterwards', async () => {
  for (let round = 0; round < 12; round++) {
    const options = round % 2 === 0 ? {} : WEBHOOK
    const { sync, run } = await published(
      db.pool,
      Array.from({ length: 40 }, (_, i) => staged(i, { [`a${i}`]: 1, [`b${i}`]: 1 })),
      options,
    )
    const ids = await batchIds(db.pool, run)
    const claims = new Map<number, number>()
    const settled = new Set<number>()
    let swapped = false
    const afterSwap: string[] = []
    const worker = async (mine: readonly number[]): Promise<void> => {
      for (const id of mine) {
        const late = swapped
        const claimed = await claimBatch(db.pool, { id, attempt: 0 }, ACCOUNT)
        if (!claimed) continue
        if (late) afterSwap.push(`claim ${id}`)
        claims.set(id, claimed.attempt)
        if (id % 3 === 0) continue
        const lateSettle = swapped
        const part = child({ [`b${id}`]: 1 }, { doubtful: id % 2 === 0 })
        const done =
          id % 3 === 1
            ? await settleBatch(db.pool, settlement(sync, claimed))
            : await settleBatch(db.pool, settlement(sync, claimed, { acknowledged: pack({ [`a${id}`]: 1 }), child: part }))
        if (done && lateSettle) afterSwap.push(`settle ${id}`)
        if (done) settled.add(id)
      }
    }
    const lanes = Array.from({ length: 5 }, (_, lane) => worker(ids.filter((_, i) => i % 5 === lane)))
    // newRun ends the old run first, so take the place over as a double start would: both rows live.
    const next = randomUUID()
    const swap = async () => {
      while (claims.size < 3 * round) await new Promise(setImmediate)
      await db.pool.query(`update run set slot = null where id = $1`, [run])
      await db.pool.query(`insert into run (id, sync, slot, trigger, definition, generation) values ($1, $2, 'active', 'test', $3, 1)`, [
        next,
        sync,
        JSON.stringify({ settleAfterMs: options.settleAfterMs === null ? null : 1000, baselineId: RECORDS }),
      ])
      await activate(db.pool, next, sync)
      swapped = true
    }
    await Promise.all([...lanes, swap()])
    assert.deepEqual(afterSwap, [], 'an old run’s statement worked after the swap')
    const { rows } = await db.pool.query<{ id: number; state: string; parent: number | null; doubtful: boolean; heir: string | null }>(
      'select id, state, parent, doubtful, heir from batch where run = $1',
      [run],
    )
    for (const { id, state, parent, doubtful, heir } of rows) {
      const wasSent = parent === null ? claims.has(id) : doubtful
      const expected = settled.has(id) ? 'settled' : !wasSent ? 'discarded' : options === WEBHOOK ? 'inherited' : 'doubt'
      assert.equal(heir === next ? 'inherited' : state, expected, `batch ${id} of round ${round}`)
      if (expected !== 'inherited') assert.equal(await claimBatch(db.pool, { id, attempt: claims.get(id) ?? 0 }, ACCOUNT), null)
    }
    assert.equal(rows.filter(({ parent }) => parent !== null).length, [...settled].filter((id) => id % 3 === 2).length)
  }
})
