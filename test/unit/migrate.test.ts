import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inTransaction, openDatabase, type Database } from '../../state/database.ts'
import { checkSchema, migrate, SchemaError } from '../../state/migrate.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'

describe('migrate', () => {
  let database: TestDatabase
  let db: Database
  before(async () => {
    database = await freshDatabase()
    db = openDatabase(database.url)
  })
  after(async () => {
    await db.end()
    await database.drop()
  })

  test('run from several places at once applies each file once, and then nothing', async () => {
    await assert.rejects(checkSchema(db), /lacks 0001_\w+\.sql.*tailrace migrate/)
    const runs = await Promise.all([1, 2, 3, 4].map(() => migrate(db)))
    const { rows } = await db.query<{ file: string }>('select file from tailrace_migration order by version')
    assert.deepEqual(
      runs.flat().sort(),
      rows.map((row) => row.file),
    )
    assert.deepEqual(await migrate(db), [])
    await checkSchema(db)
  })

  test('refuses a schema that is newer than the code', async () => {
    await db.query(`insert into tailrace_migration (version, file, checksum) values (9999, '9999_later.sql', 'x')`)
    await assert.rejects(migrate(db), (error) => error instanceof SchemaError && error.message.includes('schema 9999'))
    await assert.rejects(checkSchema(db), SchemaError)
    await db.query('delete from tailrace_migration where version = 9999')
  })

  test('refuses a file that changed after it was applied', async () => {
    await db.query(`update tailrace_migration set checksum = 'x' where version = 1`)
    await assert.rejects(migrate(db), /0001_\w+\.sql is not what was applied/)
  })
})

describe('the state database', () => {
  let database: TestDatabase
  let db: Database
  before(async () => {
    database = await freshDatabase()
    db = openDatabase(database.url, { max: 2, applicationName: 'database test' })
    await db.query('create table t (n bigint)')
  })
  after(async () => {
    await db.end()
    await database.drop()
  })

  test('gives int8 as numbers', async () => {
    const { rows } = await db.query('select 9007199254740991::int8 as n, count(*) as c from t')
    assert.deepEqual(rows, [{ n: 9007199254740991, c: 0 }])
  })

  test('rolls a transaction back when its function throws', async () => {
    const failing = inTransaction(db, async (client) => {
      await client.query('insert into t values (1)')
      throw new Error('stop')
    })
    await assert.rejects(failing, /stop/)
    assert.deepEqual((await db.query('select * from t')).rows, [])
  })

  test('does not report a commit that was none', async () => {
    const failing = inTransaction(db, async (client) => {
      await client.query('insert into t values (1)')
      await client.query('select 1/0').catch(() => {})
    })
    await assert.rejects(failing, /rolled back/)
    assert.deepEqual((await db.query('select * from t')).rows, [])
  })

  test('survives a lost connection, idle or in a transaction', async () => {
    const terminate = (pid: number): Promise<unknown> => database.pool.query('select pg_terminate_backend($1, 5000)', [pid])
    const { rows } = await db.query<{ pid: number }>('select pg_backend_pid() as pid')
    await terminate(rows[0]?.pid ?? 0)
    const failing = inTransaction(db, async (client) => {
      const mine = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      await terminate(mine.rows[0]?.pid ?? 0)
      await client.query('select 1')
    })
    await assert.rejects(failing)
    assert.deepEqual((await db.query('select 1 as n')).rows, [{ n: 1 }])
  })
})
