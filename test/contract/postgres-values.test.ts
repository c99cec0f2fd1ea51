import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import type { CanonicalText } from '../../connectors/contract.ts'
import { selectColumns } from '../../connectors/pgwire/selection.ts'
import { POSTGRES } from '../../connectors/postgres/dialect.ts'
import { postgres } from '../../connectors/postgres/index.ts'
import { modelSql, wrapModel } from '../../connectors/pgwire/model-sql.ts'
import { traitsOf } from '../../connectors/postgres/types.ts'
import { postgresFixture, type PostgresFixture } from './postgres-fixture.ts'
import { failure, readAll, request } from './source-fixture.ts'

process.env['TZ'] = 'America/New_York'

describe('PostgreSQL values and keys', { timeout: 120_000 }, () => {
  let fixture: PostgresFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await postgresFixture()
    await fixture.pool.query(`
      create type mood as enum ('sad', 'happy', 'bored');
      create type pair as (a int, b text);
      create domain cents as numeric(12, 2);
      create domain tags as text[];
      create table twice (k numeric, c char(5), v int)`)
  })
  after(() => fixture.close())

  const values: [sql: string, nativeType: string, kind: string, text: CanonicalText][] = [
    ["'NaN'::numeric", 'numeric', 'decimal', 'NaN'],
    ["'-Infinity'::float8", 'double precision', 'float', '-Infinity'],
    ['0.1::float4', 'real', 'float', '0.1'],
    ['(0.1::float8 + 0.2::float8)', 'double precision', 'float', '0.30000000000000004'],
    ['(-32768)::int2', 'smallint', 'integer', '-32768'],
    ['1.50::cents', 'numeric(12,2)', 'decimal', '1.50'],
    ["'{a}'::tags", 'text[]', 'array', '["a"]'],
    ["array['a\"b', null, E'c\\\\d\\n', 'NULL', '']", 'text[]', 'array', '["a\\"b",null,"c\\\\d\\n","NULL",""]'],
    ['array[[1, 2], [3, 9223372036854775807]]::int8[]', 'bigint[]', 'array', '[[1,2],[3,9223372036854775807]]'],
    ["'{}'::int[]", 'integer[]', 'array', '[]'],
    ['array[1.10, 12345678901234567890.123456789]', 'numeric[]', 'array', '[1.10,12345678901234567890.123456789]'],
    // As strings they reached receivers among numbers; alone they make their record invalid.
    ["array['NaN', 1.5, '-Infinity']::float8[]", 'double precision[]', 'array', '[NaN,1.5,-Infinity]'],
    ["array['NaN', 'infinity']", 'text[]', 'array', '["NaN","infinity"]'],
    [
      "array['2026-07-01 12:00:00.5 America/New_York', 'infinity']::timestamptz[]",
      'timestamp with time zone[]',
      'array',
      '["2026-07-01T16:00:00.5Z",infinity]',
    ],
    ["array['2026-07-01 12:00:00']::timestamp[]", 'timestamp without time zone[]', 'array', '["2026-07-01T12:00:00"]'],
    ['\'{"b": 1.10, "a": [1e2]}\'::jsonb', 'jsonb', 'json', '{"a": [100], "b": 1.10}'],
    ['E\'{"a":\\n1}\'::json', 'json', 'json', '{"a":\n1}'],
    ["'happy'::mood", 'mood', 'text', 'happy'],
    ["'6ECD8C99-4036-403D-BF84-CF8400F67836'::uuid", 'uuid', 'text', '6ecd8c99-4036-403d-bf84-cf8400f67836'],
    ["'1 year 2 mons -3 days 04:05:06.789'::interval", 'interval', 'other', 'P1Y2M-3DT4H5M6.789S'],
    ["'ab'::char(5)", 'character(5)', 'text', 'ab   '],
    ["'ab'::varchar(9)", 'character varying(9)', 'text', 'ab'],
    ["row(1, 'x y')::pair", 'pair', 'other', '(1,"x y")'],
    ["'[1,5)'::int4range", 'int4range', 'other', '[1,5)'],
    ["'10.0.0.1'::inet", 'inet', 'other', '10.0.0.1'],
    ["'04:05:06.789'::time", 'time without time zone', 'other', '04:05:06.789'],
    ["'infinity'::timestamptz", 'timestamp with time zone', 'timestamptz', 'infinity'],
    ["'0044-03-15 12:00:00+00 BC'::timestamptz", 'timestamp with time zone', 'timestamptz', '0044-03-15 12:00:00+00 BC'],
    ["timestamptz '2026-07-01 12:00:00 America/New_York'", 'timestamp with time zone', 'timestamptz', '2026-07-01T16:00:00Z'],
    ["timestamp '2026-07-01 12:00:00'", 'timestamp without time zone', 'timestamp', '2026-07-01T12:00:00'],
    ["'\\x00ff0a5c'::bytea", 'bytea', 'bytes', 'AP8KXA=='],
    ['null::int', 'integer', 'integer', null],
    ['17::oid', 'oid', 'integer', '17'],
    ["'12.5'::money", 'money', 'other', '$12.50'],
  ]
  for (const [sql, nativeType, kind, text] of values) {
    it(`${sql} is ${String(text)}`, async () => {
      const query = { sql: `select 1 as id, ${sql} as v` }
      const described = await fixture.source.describe(query, signal)
      assert.deepEqual(described[1], { name: 'v', kind, nativeType })
      const { rows } = await readAll(fixture.source, request(query, ['id'], ['v']))
      assert.deepEqual(rows[0]?.values, [text])
    })
  }

  const keys: [type: string, given: string[], keys: string[]][] = [
    ['int2', ['3', '-3', '0'], ['-3', '0', '3']],
    ['varchar(5)', ['b', 'A', 'a'], ['A', 'a', 'b']],
    ['char(5)', ['b', 'a', 'ab'], ['a', 'ab', 'b']],
    [
      'uuid',
      ['F0000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000001'],
      ['00000000-0000-0000-0000-000000000001', 'f0000000-0000-0000-0000-000000000000'],
    ],
    ['mood', ['sad', 'happy', 'bored'], ['bored', 'happy', 'sad']],
    ['cents', ['1.50', '10.00', '9'], ['1.5', '10', '9']],
    ['numeric', ['1e3', '0.10', 'NaN'], ['0.1', '1000', 'NaN']],
    ['name', ['b', 'a'], ['a', 'b']],
  ]
  for (const [type, given, expected] of keys) {
    it(`keys of type ${type}: ${expected.join(', ')}`, async () => {
      const query = { sql: `select v::${type} as k from unnest(array[${given.map((value) => pg.escapeLiteral(value)).join(', ')}]) v` }
      const { reading, rows } = await readAll(fixture.source, request(query, ['k'], []))
      assert.deepEqual(
        rows.map((row) => reading.keyCodec.decode(Buffer.from(row.key ?? '', 'hex'))),
        expected.map((key) => [key]),
      )
      assert.deepEqual(
        rows.map((row) => row.keyTexts),
        expected.map((key) => [key]),
      )
    })
  }

  it('1.0 and 1.00 are one key, the mapped value is the column’s own text', async () => {
    await fixture.pool.query(`insert into twice values (1.00, 'a', 1), (1.0, 'a ', 2)`)
    const { rows } = await readAll(fixture.source, request({ table: 'twice' }, ['k', 'c'], ['v', 'k', 'c']))
    assert.equal(rows[0]?.key, rows[1]?.key)
    assert.deepEqual(rows.map((row) => row.values).sort(), [
      ['1', '1.00', 'a    '],
      ['2', '1.0', 'a    '],
    ])
    assert.deepEqual(rows[0]?.keyTexts, ['1', 'a'])
  })

  for (const type of ['float8', 'json', 'jsonb', 'int[]', 'bytea', 'interval', 'pair']) {
    it(`no key: ${type}`, async () => {
      const { kind, message } = await failure(fixture.source.read(request({ sql: `select null::${type} as k` }, ['k'], [])))
      assert.equal(kind, 'config')
      assert.match(message, /^the primary key column "k" is of type .*; these work: smallint, /)
    })
  }

  it('random composite keys: bytes round trip and PostgreSQL’s own order is theirs', async () => {
    await fixture.pool.query('create table random_keys (n int8, s text, u text)')
    const text = fc.string({ unit: 'binary', maxLength: 8 }).map((value) => value.replaceAll('\0', ''))
    const row = fc.tuple(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), text, text)
    const order = fc.constantFrom(['n', 's', 'u'], ['s', 'n', 'u'], ['u', 's'], ['s'], ['n'])
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), order, async (rows, key) => {
        await fixture.pool.query('truncate random_keys')
        const columns = [rows.map(([n]) => n.toString()), rows.map(([, s]) => s), rows.map(([, , u]) => u)]
        await fixture.pool.query('insert into random_keys select * from unnest($1::int8[], $2::text[], $3::text[])', columns)
        const { reading, rows: read } = await readAll(fixture.source, request({ table: 'random_keys' }, key, ['n', 's', 'u']))
        assert.equal(read.length, rows.length)
        for (const [i, { key: bytes, keyTexts, values: all }] of read.entries()) {
          assert.deepEqual(reading.keyCodec.decode(Buffer.from(bytes ?? '', 'hex')), keyTexts)
          assert.deepEqual(
            keyTexts,
            key.map((name) => all[['n', 's', 'u'].indexOf(name)] ?? null),
          )
          assert.ok((read[i - 1]?.key ?? '') <= (bytes ?? ''))
        }
      }),
      { numRuns: 25 },
    )
  })

  it('an integer key is read by its index', async () => {
    await fixture.pool.query('create table indexed (id int8 primary key, v text)')
    await fixture.pool.query("insert into indexed select i, repeat('v', 100) from generate_series(1, 20000) i")
    await fixture.pool.query('analyze indexed')
    const column = (name: string, oid: number) => ({ name, kind: 'text' as const, nativeType: '', traits: traitsOf(oid, 'b', 'S') })
    const client = await fixture.pool.connect()
    const keyOrder = await POSTGRES.keyOrder(client)
    client.release()
    const { items, orderBy } = selectColumns([column('id', 20), column('v', 25)], { key: ['id'], used: ['v'], dialect: POSTGRES, keyOrder })
    const { text } = wrapModel(modelSql({ table: 'indexed' }, { backslashEscapes: false }), items.map(({ sql }) => sql).join(', '), orderBy)
    const { rows } = await fixture.pool.query<{ 'QUERY PLAN': string }>(`explain ${text}`)
    assert.match(rows.map((line) => line['QUERY PLAN']).join('\n'), /^Index Scan using indexed_pkey/)
  })

  it('a database that does not store UTF-8: the order is still that of UTF-8', async () => {
    await withEncoding(fixture, 'EUC_JP', async (source, client) => {
      await client.query("create table t as select v as k from unnest(array['ｱ', 'あ', 'a', '漢']) v")
      const { reading, rows } = await readAll(source, request({ table: 't' }, ['k'], ['k']))
      assert.deepEqual(
        rows.map((row) => row.values[0]),
        ['a', 'あ', '漢', 'ｱ'],
      )
      assert.deepEqual(
        rows.map((row) => row.key),
        ['a', 'あ', '漢', 'ｱ'].map((key) => reading.keyCodec.encode([key]).toString('hex')),
      )
    })
  })

  it('SQL_ASCII: text that is UTF-8 is read, other bytes are an error and no question marks', async () => {
    await withEncoding(fixture, 'SQL_ASCII', async (source) => {
      const { rows } = await readAll(source, request({ sql: "select 'é'::text as k" }, ['k'], ['k']))
      assert.deepEqual(rows[0]?.values, ['é'])
      const { kind, code } = await failure(
        readAll(source, request({ sql: "select convert_from('\\xe9'::bytea, 'SQL_ASCII') as k" }, ['k'], ['k'])),
      )
      assert.deepEqual({ kind, code }, { kind: 'query', code: '22021' })
    })
  })
})

async function withEncoding(
  fixture: PostgresFixture,
  encoding: string,
  work: (source: ReturnType<typeof postgres.open>, client: pg.Client) => Promise<void>,
): Promise<void> {
  const url = new URL(fixture.url)
  const name = `${url.pathname.slice(1)}_${encoding.toLowerCase()}`
  await fixture.pool.query(`create database ${name} encoding '${encoding}' locale 'C' template template0`)
  url.pathname = `/${name}`
  const client = new pg.Client(url.href)
  await client.connect()
  try {
    await work(postgres.open({ url: url.href }), client)
  } finally {
    await client.end()
    await fixture.pool.query(`drop database ${name} with (force)`)
  }
}
