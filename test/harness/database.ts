import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { openDatabase } from '../../state/database.ts'

/** A database of its own on the suite's PostgreSQL; `drop` ends every connection to it. */
export interface TestDatabase {
  readonly url: string
  readonly pool: pg.Pool
  drop(): Promise<void>
}

/**
 * `server` is the URL of one where databases may be created; the suite's own is in TAILRACE_TEST_PG, which test/run.ts sets.
 * `options` are CREATE DATABASE's.
 */
export async function freshDatabase(options = '', server = process.env['TAILRACE_TEST_PG']): Promise<TestDatabase> {
  if (!server) throw new Error('TAILRACE_TEST_PG is not set: run the tests by `npm test` or `npm run test:only -- FILE…`')
  const name = `t_${randomBytes(6).toString('hex')}`
  await admin(server, `create database ${name} ${options}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const pool = openDatabase(url.href, { max: 10 })
  return {
    url: url.href,
    pool,
    async drop() {
      await pool.end()
      await admin(server, `drop database if exists ${name} with (force)`)
    },
  }
}

async function admin(server: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
