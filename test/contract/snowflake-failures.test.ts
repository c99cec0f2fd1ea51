import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { after, before, describe, it } from 'node:test'
import type { QueryHandle } from '../../connectors/source-contract.ts'
import { snowflakeFixture, type SnowflakeFixture } from './snowflake-fixture.ts'
import { failure, readAll, request } from './source-fixture.ts'

/** What goes wrong on the wire of Snowflake's driver, and what its sessions cost. */
describe('Snowflake on a bad day', { timeout: 300_000 }, () => {
  let fixture: SnowflakeFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await snowflakeFixture()
  })
  after(() => fixture.close())

  const ids = { sql: 'select i as id from range(1, 20001) t(i)' }
  const count = async (): Promise<number> => (await readAll(fixture.source, request(ids, ['id'], []))).rows.length
  /** A handle that lives as long as the test, as a run's does in the state database. */
  const handle = (known: string | null = null): QueryHandle & { kept: (string | null)[] } => {
    const kept: (string | null)[] = []
    return { known, kept, keep: (text) => Promise.resolve(void kept.push(text)), leave: () => true }
  }

  for (const does of ['cut', 'status', 'drop'] as const) {
    it(`a chunk cannot be had (${does}): it is fetched again, every row comes`, async () => {
      await fixture.standIn.fault({ on: 'chunk', does, status: 403 })
      assert.equal(await count(), 20_000)
    })
  }

  it('a chunk has fewer rows than declared: source, with both counts, and the result is not used again', async () => {
    await fixture.standIn.fault({ on: 'chunk', does: 'short' })
    const asked = handle()
    const error = await failure(readAll(fixture.source, { ...request(ids, ['id'], []), handle: asked }))
    assert.equal(error.kind, 'source')
    assert.match(error.message, /declared 20000 rows, 19999 arrived/)
    assert.equal(asked.kept.at(-1), null)
  })

  // The driver parses within a callback that swallows what is thrown, and then waits for ever.
  for (const does of ['malformed', 'empty'] as const) {
    it(`a chunk is no JSON (${does}): source, and it does not hang`, async () => {
      await fixture.standIn.fault({ on: 'chunk', does })
      assert.equal((await failure(count())).kind, 'source')
    })
  }

  for (const on of ['query', 'monitoring', 'result'] as const) {
    it(`the session token expires before a ${on} request: it is renewed, nothing is lost`, async () => {
      await fixture.standIn.fault({ on, does: 'expired' })
      assert.equal(await count(), 20_000)
    })
  }

  it('the answer to a submission is lost: the repeat is the same query', async () => {
    const tag = 'lost-answer'
    // The session's parameters are the first query, and three are compiled.
    const paid = async (): Promise<number> =>
      (await fixture.standIn.report()).queries.filter((query) => query.asynchronous && query.tag.includes(tag)).length
    const reading = await fixture.source.read({ ...request(ids, ['id'], []), label: { run: tag } })
    await fixture.standIn.fault({ on: 'query', does: 'lost_answer' })
    for await (const block of reading.blocks()) assert.ok(block.length > 0)
    assert.equal(await paid(), 1)
  })

  it('a later attempt goes on with a query that has run; with one whose result is gone it says so and forgets it', async () => {
    const first = handle()
    await readAll(fixture.source, { ...request(ids, ['id'], []), handle: first })
    assert.equal(first.kept.length, 2)
    const before = (await fixture.standIn.report()).queries.filter(({ asynchronous }) => asynchronous).length
    const again = handle(first.kept.at(-1))
    assert.equal((await readAll(fixture.source, { ...request(ids, ['id'], []), handle: again })).rows.length, 20_000)
    // The tag alone will do: the worker died before the answer with the id came.
    const byTag = handle(first.kept.at(0))
    assert.equal((await readAll(fixture.source, { ...request(ids, ['id'], []), handle: byTag })).rows.length, 20_000)
    assert.equal((await fixture.standIn.report()).queries.filter(({ asynchronous }) => asynchronous).length, before)
    assert.deepEqual([again.kept, byTag.kept], [[], []])

    await fixture.standIn.expireResults()
    const late = handle(first.kept.at(-1))
    const error = await failure(readAll(fixture.source, { ...request(ids, ['id'], []), handle: late }))
    assert.equal(error.kind, 'expired')
    assert.match(error.message, /no longer has the result of query [0-9a-f-]{36}/)
    assert.deepEqual(late.kept, [null])
  })

  it('the handle of another statement is not used', async () => {
    const first = handle()
    await readAll(fixture.source, { ...request(ids, ['id'], []), handle: first })
    const other = handle(first.kept.at(-1))
    const { rows } = await readAll(fixture.source, { ...request({ sql: 'select 7 as id' }, ['id'], []), handle: other })
    assert.equal(rows.length, 1)
    assert.equal(other.kept.length, 2)
  })

  it('all three ways to come in; a wrong one is refused by name, and no secret is told', async () => {
    const { keyPair, token, oauth } = fixture.standIn.config
    for (const config of [keyPair, token, oauth]) assert.equal((await fixture.open(config).check(signal)).ok, true)
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ ...keyPair, username: 'SOMEBODY' }, /does not let user "SOMEBODY" in/],
      [{ ...token, token: 'pat-wrong-secret' }, /394400/],
      [{ ...token, role: 'NOBODY' }, /Role 'NOBODY'/],
      [{ ...oauth, oauth: { ...oauth.oauth, clientSecret: 'wrong-secret' } }, /OAuth client/],
    ]
    for (const [config, words] of wrong) {
      const error = await failure(fixture.open(config).describe(ids, signal))
      assert.equal(error.kind, 'auth')
      assert.match(error.message, words)
      assert.ok(!inspect(error).includes('wrong-secret'))
    }
  })

  it('a warehouse that is not there: check says so, reading ends with config', async () => {
    const source = fixture.open({ ...fixture.standIn.config.token, warehouse: 'NO_WH' })
    const { ok, detail } = await source.check(signal)
    assert.deepEqual([ok, detail.includes('"NO_WH"')], [false, true])
    const { kind, message } = await failure(readAll(source, request(ids, ['id'], [])))
    assert.deepEqual([kind, message.includes('"NO_WH"')], ['config', true])
  })

  it('an address without an account: config; one that is down: source', async () => {
    await fixture.standIn.fault({ on: 'login', does: 'status', status: 404 })
    assert.equal((await failure(fixture.source.describe(ids, signal))).kind, 'config')
    await fixture.standIn.fault({ on: 'login', does: 'status', status: 503 })
    assert.equal((await failure(fixture.source.describe(ids, signal))).kind, 'source')
  })

  it('checking and describing resume no warehouse; sessions are closed; nothing is reported about us', async () => {
    const before = await fixture.standIn.report()
    assert.equal((await fixture.source.check(signal)).ok, true)
    await fixture.source.describe(ids, signal)
    const now = await fixture.standIn.report()
    assert.equal(now.resumedBy.length, before.resumedBy.length)
    assert.equal(now.sessions, before.sessions)
    assert.equal(now.telemetry, 0)
  })
})
