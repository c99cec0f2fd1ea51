import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { outcomeTotals } from '../../state/ledger.ts'
import { unpack } from '../../state/segment.ts'
import { settleBatch, type NewRejection } from '../../state/settle.ts'
import type { TestDatabase } from '../harness/database.ts'
import { allOpen, child, claim, CLAIMED, nothingChanges, openState, pack, published, settlement, staged } from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

test('settling moves outcome, baseline, rejections, doubt and child together', async () => {
  const { sync, run, ids } = await published(db.pool, [
    staged(0, { a: { fingerprint: 1, match: 'a@x' }, b: { fingerprint: 2, match: 'b@x' }, c: { fingerprint: 3, match: 'c@x' } }),
  ])
  const key = (text: string) => Buffer.from(text)
  for (const text of ['a', 'b', 'z']) {
    await db.pool.query(`insert into doubt values ($1, $2, clock_timestamp())`, [sync, key(text)])
    await db.pool.query(`insert into stale_match values ($1, $2, $3)`, [sync, key(text), `${text}@x`])
  }
  await db.pool.query(
    `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run) values ($1, $2, '"a"', 'upsert', $3, 'data', 'OLD', '', $4)`,
    [sync, key('a'), Buffer.alloc(16, 9), run],
  )
  const claimed = await claim(db.pool, ids[0] ?? 0)
  const done = await settleBatch(
    db.pool,
    settlement(sync, claimed, {
      delivered: 1,
      rejected: 1,
      acknowledged: pack({ a: { fingerprint: 1, match: 'a@x' } }),
      outcomes: { 1: { outcome: 'rejected', code: 'BAD', message: 'no' }, 2: { outcome: 'child' } },
      rejections: [refusal('b', 2)],
      closed: { keys: [key('a')], matches: [{ key: key('a'), match: 'a@x' }] },
      child: child({ c: { fingerprint: 3, match: 'c@x' } }, { doubtful: true, waitMs: 60_000 }),
    }),
  )
  assert.ok(done)
  const { rows: batches } = await db.pool.query('select state, delivered, rejected, outcomes from batch where id = $1', [claimed.id])
  assert.deepEqual(batches, [
    {
      state: 'settled',
      delivered: 1,
      rejected: 1,
      outcomes: { 1: { outcome: 'rejected', code: 'BAD', message: 'no' }, 2: { outcome: 'child' } },
    },
  ])
  const { rows: segments } = await db.pool.query<{ entries: Buffer }>('select entries from baseline_segment where sync = $1', [sync])
  assert.deepEqual(
    segments.flatMap(({ entries }) => unpack(entries).map((e) => [e.key.toString(), e.match])),
    [['a', 'a@x']],
  )
  const keys = async (sql: string) => (await db.pool.query<{ key: Buffer }>(sql, [sync])).rows.map((row) => row.key.toString())
  assert.deepEqual(await keys('select id as key from rejection where sync = $1'), ['b'], 'what was delivered is owed no more')
  assert.deepEqual(await keys('select key from doubt where sync = $1 order by key'), ['b', 'z'])
  assert.deepEqual(await keys('select key from stale_match where sync = $1 order by key'), ['b', 'z'])
  const [open] = await allOpen(db.pool, run)
  assert.deepEqual([open?.size, open?.doubtful, open?.state, open?.attempt], [1, true, 'planned', 0])
  assert.ok((open?.waitMs ?? 0) > 50_000)
  assert.deepEqual(await outcomeTotals(db.pool, run), { delivered: 1, skipped: 0, rejected: 1 })
  await nothingChanges(db.pool, sync, claimed, CLAIMED)
})

const refusal = (key: string, version: number, retryAfterMs: readonly number[] | null = null): NewRejection => ({
  id: Buffer.from(key),
  key,
  op: 'upsert',
  fingerprint: Buffer.alloc(16, version),
  class: 'conflict',
  code: 'BAD',
  field: null,
  message: 'no',
  retryAfterMs,
})

/** Refuses key `a` once more, in a batch of its own, and tells what the books say then. */
async function refused(sync: string, run: string, version: number, steps: readonly number[] | null) {
  const plan = (await db.pool.query<{ plan: string }>('select plan from run where id = $1', [run])).rows[0]?.plan
  const { rows: added } = await db.pool.query<{ id: number }>(
    `insert into batch (run, plan, seq, phase, first_key, last_key, size, ops, payload, entries)
     select run, $2, seq + 1, phase, first_key, last_key, size, ops, payload, entries from batch where run = $1 order by id limit 1 returning id`,
    [run, plan],
  )
  const claimed = await claim(db.pool, added[0]?.id ?? 0)
  assert.ok(
    await settleBatch(
      db.pool,
      settlement(sync, claimed, { delivered: 0, rejected: 1, acknowledged: null, rejections: [refusal('a', version, steps)] }),
    ),
  )
  const { rows } = await db.pool.query<{ attempts: number; wait: number | null; first_at: Date; last_at: Date }>(
    `select attempts, extract(epoch from next_attempt - last_at)::float8 as wait, first_at, last_at from rejection where sync = $1 and id = 'a'`,
    [sync],
  )
  const [row] = rows
  assert.ok(row)
  return { ...row, wait: row.wait === null ? null : Math.round(row.wait) }
}

test('a version that is refused again: attempts grow, the next try comes later, the last step stays; a new version starts anew', async () => {
  const { sync, run } = await published(db.pool, [staged(0, { a: 1 })])
  const steps = [60_000, 600_000, 3_600_000]
  const tries = []
  for (let i = 0; i < 4; i++) tries.push(await refused(sync, run, 1, steps))
  assert.deepEqual(
    tries.map(({ attempts, wait }) => [attempts, wait]),
    [
      [1, 60],
      [2, 600],
      [3, 3600],
      [4, 3600],
    ],
  )
  assert.equal(new Set(tries.map(({ first_at }) => first_at.getTime())).size, 1, 'first_at is that of the version')
  const other = await refused(sync, run, 2, steps)
  assert.deepEqual([other.attempts, other.wait], [1, 60])
  assert.ok(other.first_at > (tries[0]?.first_at ?? other.first_at))
  assert.deepEqual((await refused(sync, run, 2, null)).wait, null, 'waits for a new version or a person')
})

test('one statement settles a key whose removal went well and whose old match value was refused, twice over', async () => {
  const { sync, run } = await published(db.pool, [staged(0, { a: 1 })])
  await refused(sync, run, 0, [1000])
  const { rows } = await db.pool.query<{ id: number }>(`select id from batch where run = $1 and state = 'planned' limit 1`, [run])
  const claimed = await claim(db.pool, rows[0]?.id ?? 0)
  const key = Buffer.from('a')
  const both = { rejections: [refusal('a', 0, [1000])], closed: { keys: [key], matches: [{ key, match: 'now@x' }] } }
  assert.ok(await settleBatch(db.pool, settlement(sync, claimed, { acknowledged: pack({ a: 0 }), ...both })))
  assert.equal((await db.pool.query(`select 1 from rejection where sync = $1`, [sync])).rowCount, 1, 'what was refused is owed')
})
