import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { snowflakeFixture, type SnowflakeFixture } from './snowflake-fixture.ts'
import { failure, readAll, request } from './source-fixture.ts'

/** What Snowflake has that the suite's tables do not. */
describe('Snowflake: names, types, values', { timeout: 180_000 }, () => {
  let fixture: SnowflakeFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await snowflakeFixture()
    await fixture.standIn.set('create table people (id decimal(38, 0), email varchar, "Odd Name" varchar, "x""y" varchar)')
    await fixture.standIn.set(`insert into people values (1, 'a@x.y', 'odd', 'quote')`)
  })
  after(() => fixture.close())

  it('an unquoted name is written in lower case, as the user wrote it; a quoted one as it is', async () => {
    const columns = await fixture.source.describe({ sql: 'select id, EMAIL, "Odd Name", "x""y" from people;  -- all' }, signal)
    assert.deepEqual(
      columns.map(({ name }) => name),
      ['id', 'email', 'Odd Name', 'x"y'],
    )
    const { rows } = await readAll(fixture.source, request({ table: 'people' }, ['id'], ['x"y', 'Odd Name', 'email']))
    assert.deepEqual(rows[0]?.values, ['quote', 'odd', 'a@x.y'])
  })

  it('a table by one, two or three names', async () => {
    for (const table of ['people', 'Public.People', 'analytics.public.people', '"ANALYTICS"."PUBLIC".people'])
      assert.equal((await readAll(fixture.source, request({ table }, ['id'], []))).rows.length, 1, table)
    assert.equal((await failure(fixture.source.describe({ table: 'people; drop table people' }, signal))).kind, 'config')
    assert.equal((await failure(fixture.source.describe({ table: 'nobody' }, signal))).kind, 'query')
  })

  it('types, as Snowflake names them', async () => {
    const sql = `select 1::number(10, 2) as a, 1::number as b, 1.5::float as c, 'x' as d, [1, 2] as e, time '10:00:00' as f`
    const columns = await fixture.source.describe({ sql }, signal)
    assert.deepEqual(
      columns.map(({ kind, nativeType }) => [kind, nativeType]),
      [
        ['decimal', 'NUMBER(10, 2)'],
        ['integer', 'NUMBER(38, 0)'],
        ['float', 'FLOAT'],
        ['text', 'VARCHAR'],
        ['array', 'ARRAY'],
        ['other', 'TIME'],
      ],
    )
  })

  it('a time keeps its fraction, floats that are no numbers are told apart', async () => {
    const sql = `select 1 as id, time '10:20:30.5' as t, 'NaN'::float as a, 'inf'::float as b, '-inf'::float as c, 100::float as d`
    const { rows } = await readAll(fixture.source, request({ sql }, ['id'], ['t', 'a', 'b', 'c', 'd']))
    assert.deepEqual(rows[0]?.values, ['10:20:30.5', 'NaN', 'Infinity', '-Infinity', '100'])
  })

  it('an integer key beyond 64 bits: config, with what to do', async () => {
    const sql = 'select 12345678901234567890123456789012345678::number(38, 0) as id'
    const { kind, message } = await failure(readAll(fixture.source, request({ sql }, ['id'], [])))
    assert.equal(kind, 'config')
    assert.match(message, /64 bits; cast the column/)
  })

  it('the driver is shown text only, one column', async () => {
    await readAll(fixture.source, request({ table: 'people' }, ['id'], ['email']))
    const { queries } = await fixture.standIn.report()
    for (const { types, asynchronous } of queries) if (asynchronous) assert.deepEqual(types, ['text'])
  })

  it('what is no query: query', async () => {
    const { kind, message } = await failure(fixture.source.describe({ sql: 'drop table people' }, signal))
    assert.equal(kind, 'query')
    assert.match(message, /must be a query/)
    assert.equal((await readAll(fixture.source, request({ table: 'people' }, ['id'], []))).rows.length, 1)
  })
})
