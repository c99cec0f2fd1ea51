import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { Query } from '../../connectors/contract.ts'
import { openPostgres, postgres } from '../../connectors/postgres/index.ts'
import { postgresFixture, type PostgresFixture } from './postgres-fixture.ts'
import { fatalServer, losingProxy, stallingProxy } from './postgres-wire.ts'
import { eventually } from '../harness/eventually.ts'
import { failure, readAll, request } from './source-fixture.ts'

describe('PostgreSQL failures', { timeout: 120_000 }, () => {
  let fixture: PostgresFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await postgresFixture()
    await fixture.pool.query(`
      create table customers (id int primary key, email text);
      insert into customers values (1, 'private-value');
      create sequence counter;
      create function writes() returns int language sql volatile as 'insert into customers values (2, null) returning id';
      create function fails(text) returns int language plpgsql as 'begin raise exception ''no %'', $1 using errcode = ''42883''; end'`)
  })
  after(() => fixture.close())

  const describing: [what: string, query: Query, kind: string, message: RegExp][] = [
    [
      'a column that is not there',
      { sql: 'select c.id,\n       c.emial\nfrom customers c' },
      'query',
      /column c\.emial does not exist at line 2, column 8 \(SQLSTATE 42703\)\. Hint: Perhaps you meant.*"c\.email"/,
    ],
    [
      'positions count characters',
      { sql: "select '𝄞ü', nope from customers" },
      'query',
      /column "nope" does not exist at line 1, column 14 /,
    ],
    ['a table that is not there', { table: 'nowhere' }, 'query', /relation "nowhere" does not exist \(SQLSTATE 42P01\)/],
    ['a syntax error', { sql: 'selec 1' }, 'query', /syntax error at or near "selec" at line 1, column 1 /],
    [
      'a constant that does not parse',
      { sql: "select 'private-value'::int as id" },
      'query',
      /^the model’s query failed: 22P02 invalid_text_representation at line 1, column 8$/,
    ],
    ['two statements', { sql: 'select 1; select 2' }, 'config', /more than one statement/],
    ['a way out of the wrapper', { sql: 'select 1) as m; select pg_sleep(300); --' }, 'query', /syntax error at or near "\)"/],
    ['a way around the wrapper', { sql: 'select 1) as m cross join (select 2' }, 'query', /syntax error at or near "\)"/],
    ['no statement', { sql: ' -- nothing' }, 'config', /returns no columns/],
    ['no columns', { sql: 'select from customers' }, 'config', /returns no columns/],
    ['a parameter', { sql: 'select * from customers where id = $1' }, 'config', /parameter/],
    ['a statement that writes', { sql: 'delete from customers' }, 'config', /returns no columns/],
    ['a statement that writes and returns', { sql: 'delete from customers returning id' }, 'query', /must be a query/],
    [
      'a WITH that writes',
      { sql: 'with gone as (delete from customers returning id) select * from gone' },
      'query',
      /^the model’s query failed: 0A000 feature_not_supported/,
    ],
    ['a command', { sql: 'show timezone' }, 'query', /must be a query/],
    ['no name of a table', { table: 'a; drop table customers' }, 'config', /is not the name of a table/],
  ]
  for (const [what, query, kind, message] of describing) {
    it(`describe and read: ${what}`, async () => {
      for (const work of [() => fixture.source.describe(query, signal), () => fixture.source.read(request(query, ['id'], []))]) {
        const error = await failure(work())
        assert.match(error.message, message)
        assert.equal(error.kind, kind)
        assert.ok(!inspect(error).includes('private-value'))
      }
    })
  }

  for (const sql of [
    'select id from customers;',
    'select id from customers -- all of them',
    'select id from customers; /* a /* b */ ; */ -- ;',
    'table customers',
    'values (1)',
    'with c as (select * from customers) select * from c',
  ]) {
    it(`works as a model: ${sql}`, async () => {
      const [column] = await fixture.source.describe({ sql }, signal)
      assert.equal((await readAll(fixture.source, request({ sql }, [column?.name ?? ''], []))).rows.length, 1)
    })
  }

  const running: [what: string, sql: string, kind: string, message: string][] = [
    [
      'a value that does not convert',
      'select id, email::int as v from customers',
      'query',
      'the model’s query failed: 22P02 invalid_text_representation',
    ],
    [
      'an error of class 42 out of a row',
      'select id, email::regclass as v from customers',
      'query',
      'the model’s query failed: 42P01 undefined_table',
    ],
    [
      'an error that a function makes up',
      'select id, fails(email) as v from customers',
      'query',
      'the model’s query failed: 42883 undefined_function',
    ],
    [
      'a model that writes',
      'select id, writes() as v from customers',
      'query',
      'the model’s query failed: 25006 read_only_sql_transaction; the model tries to write, and models are only read',
    ],
    [
      'a model that counts',
      "select id, nextval('counter') as v from customers",
      'query',
      'the model’s query failed: 25006 read_only_sql_transaction; the model tries to write, and models are only read',
    ],
    ['a division by zero', 'select id, 1 / (id - 1) as v from customers', 'query', 'the model’s query failed: 22012 division_by_zero'],
  ]
  for (const [what, sql, kind, message] of running) {
    it(`read: ${what}`, async () => {
      const error = await failure(readAll(fixture.source, request({ sql }, ['id'], ['v'])))
      assert.deepEqual({ kind: error.kind, message: error.message }, { kind, message })
      assert.ok(!inspect(error).includes('private-value'), inspect(error))
    })
  }

  it('two columns of one name: config', async () => {
    const { kind, message } = await failure(fixture.source.read(request({ sql: 'select id, id from customers' }, ['id'], [])))
    assert.equal(kind, 'config')
    assert.match(message, /more than one column "id"/)
  })

  it('a query that runs into statementTimeoutSeconds: source, with what to do', async () => {
    const source = postgres.open({ url: fixture.url, statementTimeoutSeconds: 1 })
    const { kind, message } = await failure(readAll(source, request(fixture.slow, ['id'], [])))
    assert.equal(kind, 'source')
    assert.match(message, /57014 query_canceled; it ran into statementTimeoutSeconds \(1\)/)
  })

  it('a table that we may not read', async () => {
    const role = `${new URL(fixture.url).pathname.slice(1)}_out`
    await fixture.pool.query(`alter role ${role} login`)
    const url = new URL(fixture.url)
    url.username = role
    const { kind, message } = await failure(readAll(postgres.open({ url: url.href }), request({ table: 'customers' }, ['id'], [])))
    await fixture.pool.query(`alter role ${role} nologin`)
    assert.equal(kind, 'query')
    assert.match(message, /permission denied for table customers/)
  })

  it('an unknown database: config', async () => {
    const url = new URL(fixture.url)
    url.pathname = '/nowhere'
    const source = postgres.open({ url: url.href })
    assert.equal((await failure(source.describe(fixture.slow, signal))).kind, 'config')
    assert.match((await source.check(signal)).detail, /3D000 invalid_catalog_name: there is no database "nowhere"; check the url/)
  })

  it('a host that is not known', async () => {
    const { ok, detail } = await postgres.open({ url: 'postgres://me:warehouse-secret@no-such-host.invalid/db' }).check(signal)
    assert.equal(ok, false)
    assert.match(detail, /^PostgreSQL at no-such-host\.invalid:5432 cannot be reached: its host name/)
  })

  it('a role that may not log in: auth, with what to look at', async () => {
    const { ok, detail } = await fixture.refused.check(signal)
    assert.equal(ok, false)
    assert.match(detail, /28000 invalid_authorization_specification for user "t_\w+_out".*pg_hba\.conf/)
  })

  it('a wrong password: auth', async () => {
    await using server = await fatalServer('28P01', 'password authentication failed for user "me"')
    const source = postgres.open({ url: `postgres://me:warehouse-secret@127.0.0.1:${server.port}/db` })
    const error = await failure(source.describe(fixture.slow, signal))
    assert.equal(error.kind, 'auth')
    assert.match(error.message, /28P01 invalid_password for user "me"; check user and password/)
    assert.ok(!inspect(error).includes('warehouse-secret'))
    assert.equal((await source.check(signal)).ok, false)
  })

  it('TLS asked of a server that has none: config', async () => {
    const url = new URL(fixture.url)
    url.searchParams.set('sslmode', 'verify-full')
    const error = await failure(postgres.open({ url: url.href }).describe(fixture.slow, signal))
    assert.equal(error.kind, 'config')
    assert.match(error.message, /offers no TLS/)
  })

  it('PG* variables of the process decide nothing', async () => {
    const set = {
      PGSSLMODE: 'require',
      PGHOST: 'nowhere.invalid',
      PGPORT: '1',
      PGDATABASE: 'nowhere',
      PGUSER: 'nobody',
      PGPASSWORD: 'none',
      PGAPPNAME: 'other',
    }
    Object.assign(process.env, set)
    try {
      assert.equal((await fixture.source.check(signal)).ok, true)
    } finally {
      for (const name of Object.keys(set)) Reflect.deleteProperty(process.env, name)
    }
  })

  it('a query that is silent for long, but works, is left alone', async () => {
    const source = openPostgres({ url: fixture.url }, { silenceMs: 40 })
    const { rows } = await readAll(source, request({ sql: 'select 1 as id from pg_sleep(0.6)' }, ['id'], []))
    assert.equal(rows.length, 1)
  })

  it('a row that got lost on its way: source, as the counts differ', async () => {
    await using proxy = await losingProxy(fixture.url)
    const { kind, message } = await failure(readAll(postgres.open({ url: proxy.url }), request(fixture.many(5), ['id'], [])))
    assert.deepEqual({ kind, message }, { kind: 'source', message: 'short read: PostgreSQL declared 5 rows, 4 arrived' })
  })

  it('a connection that falls silent in mid-read is given up: source', async () => {
    await using proxy = await stallingProxy(fixture.url)
    const source = openPostgres({ url: proxy.url }, { silenceMs: 60 })
    const blocks = (await source.read(request(fixture.many(100_000), ['id'], ['filler']))).blocks()[Symbol.asyncIterator]()
    assert.equal((await blocks.next()).done, false)
    proxy.stall()
    const error = await failure(
      (async () => {
        for (let step = await blocks.next(); step.done !== true; step = await blocks.next());
      })(),
    )
    assert.equal(error.kind, 'source')
    assert.match(error.message, /the connection was lost; nothing came for 0\.06 seconds/)
    await eventually('nothing is left running', async () => (await fixture.running()) === 0)
  })
})
