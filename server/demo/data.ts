import pg from 'pg'

/** The demo's warehouse: one table of made-up customers, the same ones each time. Everybody lives at example.com. */

/** With fewer the 20 deleted ones would be more than a guard lets pass. */
export const FEWEST_ROWS = 200

export const REMOVED = 20

/** The rows that the second step breaks; `nobody` is a new row without a key. */
export interface Broken {
  readonly badEmail: string
  readonly twice: string
}

/** The model's columns, in its order. `id` is no primary key: real warehouses do not enforce any, and the demo breaks it. */
const COLUMNS = 'id, email, first_name, last_name, plan, mrr, active, customer_since, updated_at'

export const MODEL_SQL = `select ${COLUMNS} from analytics.customers`

const SCHEMA = `
  create schema analytics;
  create table analytics.customers (
    id bigint, email text, first_name text, last_name text, plan text, mrr numeric(10,2),
    active boolean, customer_since timestamptz, updated_at timestamptz
  );
  create index on analytics.customers (id)`

const FIRST_NAMES =
  'Ada Amélie André Anna Bilal Björn Carlos Chloé Daniel Elif Emma Fatima François Grace Hana Håkon Ines Ivan Jamal Jana José Kenji Léa Linh Łukasz Maria Mei Nadia Noah Olga Omar Priya Quentin Rosa Sara Søren Tomás Uma Viktor Wei Yara Zoë'
const LAST_NAMES =
  'Adeyemi Andersson Bauer Becker Costa Çelik Dubois Eriksen Ferreira Fischer García Haddad Hansen Ito Ivanova Jansen Khan Kowalska Lindqvist López Mäkinen Martin Mbeki Müller Nakamura Nguyễn Novák Okafor Olsen Patel Petrov Quiroga Rossi Santos Schäfer Singh Tanaka Urban Virtanen Weiß Yılmaz Zhang'

/** Plain letters for the part before the @; both texts are of the same length. */
const ACCENTED = 'àáâãäåçèéêëíïñóôöøúüýłşğıễ'
const PLAIN = 'aaaaaaceeeeiinoooouuylsgie'

/** Customers since some microsecond of the last six years, on plans that most do not pay for. */
const FILL = `
  insert into analytics.customers
  select id,
    translate(replace(lower(first || '.' || last), 'ß', 'ss'), '${ACCENTED}', '${PLAIN}') || '.' || id || '@example.com',
    first, last, plan, case plan when 'free' then 0 when 'pro' then 29 + pick % 40 * 5 else 490 + pick % 97 * 10.5 end,
    pick % 11 > 0, since, since + interval '1 day' * (pick % 30)
  from (
    select id, pick, first, last, case when pick % 100 < 62 then 'free' when pick % 100 < 92 then 'pro' else 'enterprise' end as plan,
      timestamptz '2019-03-01 08:00:00Z' + interval '1 microsecond' * (pick::bigint * 88301 + 1) as since
    from generate_series(1, $1::bigint) as id
      cross join lateral (select abs(hashint8(id)::bigint) as pick) as p
      cross join lateral (select ($2::text[])[1 + pick % cardinality($2)] as first, ($3::text[])[1 + pick / 64 % cardinality($3)] as last) as n
  ) as people`

/** Makes the database `warehouse` on the server of `serverUrl` and fills it. Gives its URL. */
export async function createWarehouse(serverUrl: string, rows: number): Promise<string> {
  const server = new pg.Client({ connectionString: serverUrl })
  await server.connect()
  try {
    await server.query('create database warehouse')
  } finally {
    await server.end()
  }
  const url = new URL(serverUrl)
  url.pathname = '/warehouse'
  await withWarehouse(url.href, async (db) => {
    await db.query(SCHEMA)
    await db.query(FILL, [rows, FIRST_NAMES.split(' '), LAST_NAMES.split(' ')])
    await db.query('analyze analytics.customers')
  })
  return url.href
}

/** One percent changed, 20 deleted, 3 broken: somebody's e-mail is not one any more, one row comes twice, one has no key. */
export async function changeWarehouse(url: string, rows: number): Promise<Broken> {
  const changed = Math.floor(rows / 100)
  return withWarehouse(url, async (db) => {
    const { rows: picked } = await db.query<{ id: string }>('select id::text from analytics.customers order by md5(id::text) limit $1', [
      changed + REMOVED + 2,
    ])
    const ids = picked.map(({ id }) => id)
    const [badEmail = '', twice = ''] = ids.slice(changed + REMOVED)
    await db.query('begin')
    await db.query(
      `update analytics.customers set plan = case plan when 'free' then 'pro' else 'enterprise' end, mrr = mrr + 29.50, updated_at = now()
       where id = any($1::bigint[])`,
      [ids.slice(0, changed)],
    )
    await db.query('delete from analytics.customers where id = any($1::bigint[])', [ids.slice(changed, changed + REMOVED)])
    await db.query(`update analytics.customers set email = replace(email, '@', ' at '), updated_at = now() where id = $1`, [badEmail])
    await db.query('insert into analytics.customers select * from analytics.customers where id = $1', [twice])
    await db.query(`insert into analytics.customers values (null, 'no.body@example.com', 'No', 'Body', 'free', 0, true, now(), now())`)
    await db.query('commit')
    return { badEmail, twice }
  })
}

export async function withWarehouse<T>(url: string, use: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString: url })
  await db.connect()
  try {
    return await use(db)
  } finally {
    await db.end()
  }
}
