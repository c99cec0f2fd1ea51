import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { CopyChange } from '../../connectors/source-contract.ts'
import { DRIVER_ENVIRONMENT } from '../../connectors/snowflake/driver.ts'
import { copySuffix } from '../../connectors/planner-copy.ts'
import { snowflakeProcess } from '../snowflake/process.ts'
import { plannerSuite, type PlannerWarehouse } from './planner-suite.ts'
import { snowflakeFixture, type SnowflakeFixture } from './snowflake-fixture.ts'
import { eventually } from '../harness/eventually.ts'
import { failure } from './source-fixture.ts'

/** The vendor's own driver against the stand-in of test/snowflake: no statement about a real account. */
async function snowflakeWarehouse(): Promise<PlannerWarehouse> {
  Object.assign(process.env, DRIVER_ENVIRONMENT)
  const standIn = await snowflakeProcess()
  const run = (sql: string): Promise<unknown> => standIn.set(sql)
  await run('create schema tailrace')
  const exists = async (table: string): Promise<boolean> =>
    (await standIn.ask(`select 1 from information_schema.tables where table_name = '${table}'`)).length > 0
  return {
    source: { name: 'warehouse', connector: 'snowflake', config: standIn.config.token },
    plannerSchema: 'tailrace',
    // A NUMBER has one scale.
    exact: 'text',
    run,
    async copyOf(sync) {
      const copy = `TAILRACE_COPY_${copySuffix(sync).toUpperCase()}`
      return (await exists(copy)) ? `tailrace.${copy}` : null
    },
    putAside: (copy) => run(`drop table if exists aside; create table aside as from ${copy}`),
    async putBack(copy) {
      if (await exists('aside')) await run(`create or replace table ${copy} as from aside`)
    },
    close: () => standIn.close(),
  }
}

// Each plan logs in and asks three times: seconds a history.
plannerSuite('Snowflake', snowflakeWarehouse, { histories: 3, steps: 4 })

describe('the schema for comparing inside Snowflake', { timeout: 120_000 }, () => {
  let fixture: SnowflakeFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await snowflakeFixture()
    await fixture.standIn.set('create schema tailrace; create table small as select 1::decimal(38, 0) as id')
  })
  after(() => fixture.close())

  const open = (plannerSchema: string) => fixture.open({ ...fixture.standIn.config.token, plannerSchema })

  it('check: what is missing of the schema, and the grants for it; no warehouse is resumed', async () => {
    const before = await fixture.standIn.report()
    assert.match((await open('Tailrace').check(signal)).detail, /compares in schema "TAILRACE"$/)
    for (const [schema, what] of [
      ['analytics.nowhere', /"ANALYTICS"."NOWHERE" is not there, .*grant usage, create table on schema "ANALYTICS"."NOWHERE" to role/],
      ['public', /"PUBLIC" may not be written by our role .*grant usage, create table on schema "PUBLIC" to role TAILRACE_ROLE/],
    ] as const) {
      const { ok, detail } = await open(schema).check(signal)
      assert.equal(ok, false)
      assert.match(detail, what)
    }
    assert.equal((await fixture.standIn.report()).resumedBy.length, before.resumedBy.length)
    assert.deepEqual(await fixture.standIn.ask(`select 1 from information_schema.tables where table_name = 'TAILRACE_CHECK'`), [])
  })

  it('a plan in a schema that may not be used: config, with the grants', async () => {
    const abort = new AbortController()
    const asked = { query: { table: 'small' }, key: ['id'], columns: ['id'], signal: abort.signal }
    const change: CopyChange = {
      ...{ identity: { generation: 1, mappingId: 'm' }, from: null, to: 0 },
      ...{ acknowledged: pages(), hashes: pages(), watched: pages() },
    }
    for (const schema of ['nowhere', 'public']) {
      const comparison = await open(schema).compareInWarehouse?.(asked, 's')
      assert.ok(comparison)
      assert.equal(await comparison.standing(change.identity), null)
      const { kind, message } = await failure(comparison.advance(change))
      assert.equal(kind, 'config')
      assert.match(message, /grant usage, create table on schema/)
    }
    // Nothing was read: this closes the sessions, whose heartbeat would keep the process.
    abort.abort()
    await eventually('the sessions are closed', async () => (await fixture.standIn.report()).sessions === 0)
  })

  it('keys with odd text: what has no proof comes, what has left is named, the rest stays', async () => {
    const texts = ['', 'a\tb', 'a\nb', '\\', '\\N', 'ä', '𝄞', "it's", 'gone\t\\', 'a\u0000b', 'same', 'watched', 'without a hash']
    const literal = (text: string): string => `'${text.replaceAll("'", "''").replaceAll('\u0000', `' || chr(0) || '`)}'`
    const rows = texts.map((text, i) => `(${literal(text)}, ${i}, 'v')`)
    await fixture.standIn.set(
      `create or replace table odd (s varchar, n decimal(38, 0), v varchar); insert into odd values ${rows.join(', ')}`,
    )
    const asked = { query: { table: 'odd' }, key: ['s', 'n'], columns: ['v'], signal }
    const identity = { generation: 1, mappingId: 'm' }
    const compare = async (from: number | null, entries: Partial<CopyChange>) => {
      const comparison = await open('tailrace').compareInWarehouse?.(asked, 'odd')
      assert.ok(comparison)
      assert.equal(await comparison.standing(identity), from)
      const none: CopyChange = { identity, from, to: 7, acknowledged: pages(), hashes: pages(), watched: pages() }
      await comparison.advance({ ...none, ...entries })
      const reading = await comparison.read()
      const [came, left, hashes] = [[] as string[], [] as string[], new Map<string, string>()]
      for await (const { length, keys, keyOffsets, hashes: hash, gone } of reading.blocks()) {
        for (let i = 0; i < length; i++) {
          const [text = ''] = reading.keyCodec.decode(Buffer.from(keys.subarray(keyOffsets[i], keyOffsets[i + 1])))
          if (gone?.has(i) === true) left.push(text)
          else came.push(text)
          hashes.set(text, hash?.[i] ?? '')
        }
      }
      return { came, left, hashes, codec: reading.keyCodec, copied: reading.copied() }
    }
    const key = (text: string): Buffer => first.codec.encode([text, String(texts.indexOf(text))])
    const first = await compare(null, {})
    assert.deepEqual([first.came.sort(), first.left, first.copied], [[...texts].sort(), [], { size: 0, sum: 0n }])

    await fixture.standIn.set(`delete from odd where n = ${texts.indexOf('gone\t\\')}; update odd set v = 'w' where s = 'ä'`)
    const version = (text: string): bigint => BigInt(texts.indexOf(text)) - 3n
    const second = await compare(null, {
      acknowledged: pages(texts.map((text) => ({ key: key(text), version: version(text) }))),
      hashes: pages(
        texts
          .filter((text) => text !== 'without a hash')
          .map((text) => ({ key: key(text), version: version(text), hash: first.hashes.get(text) ?? '' })),
      ),
      watched: pages([key('watched')]),
    })
    assert.deepEqual(second.came.sort(), ['watched', 'without a hash', 'ä'])
    assert.deepEqual(second.left, ['gone\t\\'])
    const sum = texts.reduce((all, text) => all + version(text), 0n)
    assert.deepEqual(second.copied, { size: texts.length, sum })

    // Another version was acknowledged: its hash is not known, the other one's proves nothing any more.
    const third = await compare(7, {
      acknowledged: pages([
        { key: key('ä'), version: 99n },
        { key: key('gone\t\\'), version: null },
      ]),
      hashes: pages([{ key: key('ä'), version: 99n, hash: second.hashes.get('ä') ?? '' }]),
    })
    assert.deepEqual([third.came.sort(), third.left], [['watched', 'without a hash'], []])
    assert.deepEqual(await fixture.standIn.ask(`select table_name from information_schema.tables where table_schema = 'tailrace'`), [
      [`TAILRACE_COPY_${copySuffix('odd').toUpperCase()}`],
    ])
  })
})

async function* pages<T>(page: readonly T[] = []): AsyncGenerator<readonly T[]> {
  yield await Promise.resolve(page)
}
