import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accountPause, allowRate, pauseAccount, takeRequest } from '../../state/budget.ts'
import { openDatabase } from '../../state/database.ts'
import type { TestDatabase } from '../harness/database.ts'
import { openState } from './state-fixture.ts'

let db: TestDatabase
let other: TestDatabase['pool']
before(async () => {
  db = await openState()
  other = openDatabase(db.url, { max: 10 })
  // Every state of every bucket, so that slots can be computed by the database's clock instead of being timed.
  await db.pool.query(
    `create table taken (account text, tokens float8, at timestamptz, paused boolean, n bigint generated always as identity)`,
  )
  await db.pool.query(`create function note() returns trigger language plpgsql as $$ begin
    insert into taken (account, tokens, at, paused) values (new.account, new.tokens, new.refilled_at, new.paused_until > clock_timestamp()); return new; end $$`)
  await db.pool.query('create trigger note after insert or update on account_budget for each row execute function note()')
})
after(async () => {
  await other.end()
  await db.drop()
})

/** When each request may leave, in seconds, by the debt that its taker left. */
async function slots(account: string, rate: number): Promise<number[]> {
  const { rows } = await db.pool.query<{ slot: number }>(
    `select extract(epoch from at)::float8 + greatest(0, -tokens / $2::float8) as slot from taken where account = $1 order by n`,
    [account, rate],
  )
  return rows.map(({ slot }) => slot)
}

/** In no window, however long, more than the rate and the second's requests (one at least) that had been saved up. */
function neverFaster(times: readonly number[], rate: number): void {
  for (let i = 0; i < times.length; i++)
    for (let j = i; j < times.length; j++) {
      const allowed = Math.max(1, rate) + rate * ((times[j] ?? 0) - (times[i] ?? 0))
      assert.ok(j - i + 1 <= allowed + 1e-3, `${j - i + 1} requests where ${allowed} are allowed`)
    }
}

// The fraction: a rate of 0.5 used to fail with `invalid input syntax for type integer`.
test('many takers in two workers never exceed the rate together, and none is turned away', async () => {
  for (const [account, rate, takers] of [
    ['slow', 3, 40],
    ['usual', 10, 60],
    ['below one', 0.5, 10],
  ] as const) {
    const taken = await Promise.all(Array.from({ length: takers }, (_, i) => takeRequest(i % 2 === 0 ? db.pool : other, account, rate)))
    const waits = taken.map((one) => ('waitMs' in one ? one.waitMs : assert.fail('paused'))).sort((a, b) => a - b)
    const times = await slots(account, rate)
    assert.equal(times.length, takers)
    neverFaster(times, rate)
    // What the callers were told is what the bucket says.
    const { rows } = await db.pool.query<{ wait: number }>(
      `select greatest(0, -tokens / $2::float8) * 1000 as wait from taken where account = $1 order by wait`,
      [account, rate],
    )
    assert.deepEqual(
      waits.map((wait) => Math.round(wait)),
      rows.map(({ wait }) => Math.round(wait)),
    )
    assert.deepEqual(
      [...times].sort((a, b) => a - b),
      times,
      'callers keep their order',
    )
  }
})

test('an hour of silence saves up one second’s requests, not an hour’s', async () => {
  await takeRequest(db.pool, 'idle', 5)
  await db.pool.query(`update account_budget set refilled_at = refilled_at - interval '1 hour' where account = 'idle'`)
  await Promise.all(Array.from({ length: 20 }, () => takeRequest(db.pool, 'idle', 5)))
  neverFaster((await slots('idle', 5)).slice(2), 5)
})

test('what the vendor’s headers allow is the rate from then on, for everybody', async () => {
  await allowRate(db.pool, 'headers', 2)
  const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => takeRequest(i % 2 === 0 ? db.pool : other, 'headers', 100)))
  assert.ok(taken.every((one) => 'waitMs' in one))
  const times = (await slots('headers', 2)).slice(1)
  assert.equal(times.length, 20)
  neverFaster(times, 2)
  await allowRate(db.pool, 'headers', 50)
  const next = await takeRequest(db.pool, 'headers', 100)
  const { rows } = await db.pool.query<{ tokens: number }>(`select tokens from account_budget where account = 'headers'`)
  assert.equal('waitMs' in next && Math.round(next.waitMs), Math.round((-(rows[0]?.tokens ?? 0) / 50) * 1000))
})

test('a pause wins over every taker, and costs them nothing', async () => {
  await takeRequest(db.pool, 'paused', 10)
  await pauseAccount(db.pool, 'paused', 60_000, 'the account is over its limit')
  const before = await db.pool.query(`select tokens, refilled_at from account_budget where account = 'paused'`)
  const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => takeRequest(i % 2 === 0 ? db.pool : other, 'paused', 10)))
  for (const one of taken) {
    assert.ok('paused' in one)
    assert.equal(one.paused.reason, 'the account is over its limit')
    assert.ok(one.paused.waitMs > 50_000 && one.paused.waitMs <= 60_000)
  }
  assert.deepEqual((await db.pool.query(`select tokens, refilled_at from account_budget where account = 'paused'`)).rows, before.rows)
  await db.pool.query(`update account_budget set paused_until = clock_timestamp() where account = 'paused'`)
  assert.equal(await accountPause(db.pool, 'paused'), null)
  assert.ok('waitMs' in (await takeRequest(db.pool, 'paused', 10)))
})

test('the longer of two pauses stays, with its reason; an account that nobody used yet can be paused', async () => {
  assert.equal(await accountPause(db.pool, 'two'), null)
  await pauseAccount(db.pool, 'two', 60_000, 'long')
  await pauseAccount(db.pool, 'two', 1_000, 'short')
  const pause = await accountPause(db.pool, 'two')
  assert.ok(pause)
  assert.equal(pause.reason, 'long')
  assert.ok(pause.waitMs > 50_000)
  await pauseAccount(db.pool, 'two', 120_000, 'longer')
  assert.equal((await accountPause(db.pool, 'two'))?.reason, 'longer')
  assert.ok('paused' in (await takeRequest(db.pool, 'two', 10)))
})

test('accounts do not touch each other', async () => {
  await pauseAccount(db.pool, 'one', 60_000, 'quiet')
  assert.deepEqual(await takeRequest(db.pool, 'another', 10), { waitMs: 0 })
})
