import type pg from 'pg'
import type { SnowflakeProcess } from '../snowflake/process.ts'

export const TABLE = 'customers'
export const PLANNER = 'planner'
/** The key first, the others in name order: the select list of the product's COPY. */
export const COLUMNS = ['id', 'active', 'amount', 'company', 'created_at', 'email', 'first_name', 'last_name', 'props', 'score']

/** The destination's fields in the case `bulk`, in the order of the columns. */
export const ACCOUNT_FIELDS = ['External_Id__c', ...COLUMNS.slice(1)]

/** The plain ordered COPY that no reader of these columns in this order can beat. */
export const PLAIN_COPY = `COPY (select ${COLUMNS.join(', ')} from ${TABLE} order by id) TO STDOUT`

/** Rows of ten columns and about 160 bytes as COPY text, the same on every call. */
export async function fillWarehouse(pool: pg.Pool, rows: number): Promise<void> {
  await pool.query(`create schema ${PLANNER}`)
  await pool.query(`create table ${TABLE} (
    id bigint primary key, email text not null, first_name text not null, last_name text not null, company text,
    amount numeric(12,2), score int, active boolean, created_at timestamptz, props jsonb)`)
  await pool.query(
    `insert into ${TABLE}
     select i, 'user' || i || '@example.com', 'First' || i % 5000, 'Last' || i % 9000, 'Company ' || i % 20000,
       (i % 1000000) * 1.25, i % 1000, i % 3 = 0, timestamptz '2024-01-01 00:00:00.123456Z' + i * interval '37 seconds',
       jsonb_build_object('plan', (array['free', 'pro', 'team'])[1 + i % 3], 'seats', i % 50)
     from generate_series(1, $1::int) i`,
    [rows],
  )
  await settle(pool)
}

/** The same rows in the stand-in of Snowflake. */
export async function fillSnowflake(snowflake: SnowflakeProcess, rows: number): Promise<void> {
  await snowflake.set(`create table ${TABLE} as
     select i::decimal(38, 0) as id, 'user' || i || '@example.com' as email, 'First' || i % 5000 as first_name, 'Last' || i % 9000 as last_name,
       'Company ' || i % 20000 as company, ((i % 1000000) * 1.25)::decimal(12, 2) as amount, i % 1000 as score, i % 3 = 0 as active,
       timestamptz '2024-01-01 00:00:00.123456Z' + i * interval '37 seconds' as created_at,
       ('{"plan":"' || ['free', 'pro', 'team'][1 + i % 3] || '","seats":' || i % 50 || '}')::json as props
     from range(1, ${rows + 1}) t(i)`)
}

/** Changes one in `every` rows, scattered over the keys, other rows on every `round`. How many. */
export async function changeRows(pool: pg.Pool, every: number, round: number): Promise<number> {
  const { rowCount } = await pool.query(`update ${TABLE} set amount = amount + 1 where id % $1 = $2`, [every, round % every])
  await settle(pool)
  return rowCount ?? 0
}

/** Neither vacuum nor checkpoint of what a measurement made ready should run within it. */
async function settle(pool: pg.Pool): Promise<void> {
  await pool.query(`vacuum analyze ${TABLE}`)
  await pool.query('checkpoint')
}
