import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { postgres } from '../../connectors/postgres/index.ts'
import { copySuffix } from '../../connectors/planner-copy.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { plannerSuite, type PlannerWarehouse } from './planner-suite.ts'

async function postgresWarehouse(): Promise<PlannerWarehouse> {
  const database = await freshDatabase()
  const run = (sql: string): Promise<unknown> => database.pool.query(sql)
  await run('create schema planner')
  const exists = async (table: string): Promise<boolean> => {
    const { rows } = await database.pool.query<{ made: boolean }>('select to_regclass($1) is not null as made', [table])
    return rows[0]?.made === true
  }
  return {
    source: { name: 'warehouse', connector: 'postgres', config: { url: database.url } },
    plannerSchema: 'planner',
    exact: 'numeric',
    run,
    async copyOf(sync) {
      const copy = `planner.tailrace_copy_${copySuffix(sync)}`
      return (await exists(copy)) ? copy : null
    },
    putAside: (copy) =>
      run(`drop table if exists aside, aside_copies; create table aside as table ${copy};
        create table aside_copies as table planner.tailrace_copies`),
    async putBack(copy, sync) {
      if (!(await exists('aside'))) return
      await run(`truncate ${copy}; insert into ${copy} table aside; update planner.tailrace_copies c
        set identity = a.identity, seq = a.seq from aside_copies a where a.sync = c.sync and c.sync = '${sync}'`)
    },
    close: () => database.drop(),
  }
}

plannerSuite('PostgreSQL', postgresWarehouse, { histories: 12, steps: 7 })

describe('the schema for comparing inside PostgreSQL', { timeout: 120_000 }, () => {
  let warehouse: TestDatabase
  before(async () => {
    warehouse = await freshDatabase()
    await warehouse.pool.query('create schema planner')
  })
  after(() => warehouse.drop())

  it('check: what is missing of the schema, and the grants for it', async () => {
    const signal = new AbortController().signal
    const check = (url: string, plannerSchema: string) => postgres.open({ url, plannerSchema }).check(signal)
    assert.match((await check(warehouse.url, 'planner')).detail, /compares in schema "planner"$/)
    const absent = await check(warehouse.url, 'nowhere')
    assert.equal(absent.ok, false)
    assert.match(absent.detail, /plannerSchema "nowhere" is not there: .*grant usage, create on schema "nowhere"/)
    const role = `${new URL(warehouse.url).pathname.slice(1)}_reader`
    await warehouse.pool.query(
      `create role ${role} login password 'reader'; create table small as select 1::int8 as id; grant select on small to ${role}`,
    )
    try {
      const url = new URL(warehouse.url)
      url.username = role
      url.password = 'reader'
      const refused = await check(url.href, 'planner')
      assert.equal(refused.ok, false)
      assert.match(refused.detail, /may not be written by our user: .*grant usage, create/)
      const source = postgres.open({ url: url.href, plannerSchema: 'planner' })
      const comparison = await source.compareInWarehouse?.({ query: { table: 'small' }, key: ['id'], columns: ['id'], signal }, 's')
      const none = async function* (): AsyncGenerator<never[]> {}
      const change = {
        identity: { generation: 1, mappingId: 'm' },
        from: null,
        to: 0,
        acknowledged: none(),
        hashes: none(),
        watched: none(),
      }
      await assert.rejects(
        async () => comparison?.advance(change),
        /plannerSchema "planner" may not be written by our user \(SQLSTATE 42501\)/,
      )
    } finally {
      await warehouse.pool.query(`drop owned by ${role}; drop role ${role}`)
    }
  })
})
