import type pg from 'pg'

/** What the state database was asked for, by pg_stat_statements. */
export interface StateCosts {
  readonly queries: number
  /** Written-ahead log of claiming and settling, bytes a settled batch; null where none was settled. */
  readonly walBytesPerBatch: number | null
}

/** The server's settings that make it count. */
export const COUNTING = { shared_preload_libraries: 'pg_stat_statements' }

/** Counts from here on. */
export async function startCounting(state: pg.Pool): Promise<void> {
  await state.query('create extension if not exists pg_stat_statements')
  await state.query('select pg_stat_statements_reset()')
}

const SETTLES = `query like 'with b as (%update batch b set state = ''settled''%' or query like 'with b as (%update batch b set state = $%'`
const CLAIMS = `query like 'update batch b set state = ''sending''%' or query like 'update batch b set state = $%'`

export async function stateCosts(state: pg.Pool): Promise<StateCosts> {
  const { rows } = await state.query<{ queries: string; settled: string; wal: string }>(
    `select coalesce(sum(calls), 0) as queries,
       coalesce(sum(calls) filter (where ${SETTLES}), 0) as settled,
       coalesce(sum(wal_bytes) filter (where ${SETTLES} or ${CLAIMS}), 0) as wal
     from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database()) and query not like '%pg_stat_statements%'`,
  )
  const { queries, settled, wal } = rows[0] ?? { queries: '0', settled: '0', wal: '0' }
  return { queries: Number(queries), walBytesPerBatch: Number(settled) === 0 ? null : Math.round(Number(wal) / Number(settled)) }
}

/** Bytes that the baselines take, indexes included, over the records in them; null where there are none. */
export async function baselineBytesPerRecord(state: pg.Pool): Promise<number | null> {
  await state.query('vacuum full baseline_segment')
  const { rows } = await state.query<{ bytes: string; records: string | null }>(
    `select pg_total_relation_size('baseline_segment') as bytes, (select sum(size) from baseline_segment) as records`,
  )
  const records = Number(rows[0]?.records ?? 0)
  return records === 0 ? null : Math.round((Number(rows[0]?.bytes) / records) * 10) / 10
}
