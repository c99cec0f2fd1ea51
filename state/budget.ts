import type pg from 'pg'

/**
 * One rate budget per destination account, shared by every worker and sync: a bucket that holds one second's requests, at least one.
 * A taker goes into debt and waits it off, so callers keep their order and the rate is never exceeded.
 * Returns how long to wait before sending, in milliseconds; `paused` when the account asked for quiet (nothing was taken).
 */
export async function takeRequest(
  db: pg.Pool,
  account: string,
  requestsPerSecond: number,
): Promise<{ waitMs: number } | { paused: PauseState }> {
  const { rows } = await db.query<{ wait_ms: number | null; paused_ms: number | null; reason: string | null }>(
    `insert into account_budget as a (account, requests_per_second, tokens) values ($1, null, greatest(1, $2::float8) - 1)
     on conflict (account) do update set
       tokens = case when a.paused_until > clock_timestamp() then a.tokens
         else least(greatest(1, coalesce(a.requests_per_second, $2::float8)), a.tokens + extract(epoch from clock_timestamp() - a.refilled_at) * coalesce(a.requests_per_second, $2::float8)) - 1 end,
       refilled_at = case when a.paused_until > clock_timestamp() then a.refilled_at else clock_timestamp() end
     returning case when a.tokens < 0 then -a.tokens / coalesce(a.requests_per_second, $2::float8) * 1000 else 0 end as wait_ms,
       extract(epoch from a.paused_until - clock_timestamp())::float8 * 1000 as paused_ms, a.pause_reason as reason`,
    [account, requestsPerSecond],
  )
  const row = rows[0]
  if (row?.paused_ms && row.paused_ms > 0) return { paused: { waitMs: row.paused_ms, reason: row.reason ?? 'paused' } }
  return { waitMs: row?.wait_ms ?? 0 }
}

export interface PauseState {
  readonly waitMs: number
  readonly reason: string
}

/** Nobody sends to the account for so long; a longer pause that is already there stays. */
export async function pauseAccount(db: pg.Pool, account: string, waitMs: number, reason: string): Promise<void> {
  await db.query(
    `insert into account_budget as a (account, paused_until, pause_reason) values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3)
     on conflict (account) do update set
       pause_reason = case when coalesce(a.paused_until, '-infinity') < excluded.paused_until then excluded.pause_reason else a.pause_reason end,
       paused_until = greatest(a.paused_until, excluded.paused_until)`,
    [account, waitMs, reason],
  )
}

export async function accountPause(db: pg.Pool, account: string): Promise<PauseState | null> {
  const { rows } = await db.query<{ paused_ms: number; reason: string | null }>(
    `select extract(epoch from paused_until - clock_timestamp())::float8 * 1000 as paused_ms, pause_reason as reason
     from account_budget where account = $1 and paused_until > clock_timestamp()`,
    [account],
  )
  const row = rows[0]
  return row ? { waitMs: row.paused_ms, reason: row.reason ?? 'paused' } : null
}

/** What the vendor's headers allow from now on. */
export async function allowRate(db: pg.Pool, account: string, requestsPerSecond: number): Promise<void> {
  await db.query(
    `insert into account_budget as a (account, requests_per_second) values ($1, $2)
     on conflict (account) do update set requests_per_second = $2 where a.requests_per_second is distinct from $2`,
    [account, requestsPerSecond],
  )
}

export interface AccountState {
  readonly account: string
  /** Requests that may be made at once; below 0: how many are waiting for their turn; null: there is no limit. */
  readonly requests: number | null
  /** How long nobody may send; 0: not paused. */
  readonly pausedSeconds: number
}

/** Of those named, accounts that a request was made to. `requestsPerSecond` as in takeRequest: what holds until headers say more. */
export async function accountStates(
  db: pg.Pool,
  accounts: readonly { readonly account: string; readonly requestsPerSecond: number | null }[],
): Promise<AccountState[]> {
  const { rows } = await db.query<AccountState>(
    `select a.account, greatest(0, coalesce(extract(epoch from a.paused_until - clock_timestamp()), 0))::float8 as "pausedSeconds",
       case when r.rate is null then null
         else least(greatest(1, r.rate), a.tokens + extract(epoch from clock_timestamp() - a.refilled_at) * r.rate)::float8 end as requests
     from account_budget a join (select n.account, coalesce(b.requests_per_second, n.rate) as rate
       from unnest($1::text[], $2::float8[]) as n (account, rate) join account_budget b on b.account = n.account) r on r.account = a.account`,
    [accounts.map(({ account }) => account), accounts.map(({ requestsPerSecond }) => requestsPerSecond)],
  )
  return rows
}
