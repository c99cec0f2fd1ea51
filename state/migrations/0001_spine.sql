-- Configuration, as applied. Secrets are references here, never values.
create table resource (
  kind text not null,
  name text not null,
  spec jsonb not null,
  version bigint not null default 1,
  updated_at timestamptz not null default now(),
  primary key (kind, name)
);

-- One row per sync that ever ran. active_run is the fence: claim and settle of any other run fail (invariant 1).
create table sync_state (
  sync text primary key,
  active_run uuid,
  generation int not null default 0,
  -- hash of destination, object, match, primary key and key types: a new one starts a new baseline generation
  baseline_id text,
  key_parts text,
  mapping_id text,
  -- segments up to this seq are disjoint blocks; what lies above is overlay
  compacted_seq bigint not null default 0
);

create table run (
  id uuid primary key,
  sync text not null,
  -- at most one active and one next run per sync; null once ended
  slot text check (slot in ('active', 'next')),
  state text not null default 'queued'
    check (state in ('queued','planning','awaiting_approval','delivering','paused','succeeded','partial','failed','cancelled')),
  trigger text not null,
  full_plan boolean not null default false,
  verify boolean not null default false,
  dry_run boolean not null default false,
  adopt boolean not null default false,
  -- the sync, model and names as frozen by prepare
  definition jsonb,
  -- the plan attempt that was published; batches of any other attempt are litter (invariant 10)
  plan uuid,
  planned jsonb,
  upsert_batches int,
  remove_batches int,
  owed bigint,
  waiting jsonb,
  error jsonb,
  generation int,
  temporal_run_id text,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz
);
create unique index run_slot on run (sync, slot) where slot is not null;
create index run_newest on run (created_at desc, id desc);
create index run_by_sync on run (sync, created_at desc, id desc);

-- The plan and the ledger in one: an ordered slice of a plan, exactly as it will be sent, and what became of it.
create table batch (
  id bigint generated always as identity primary key,
  run uuid not null references run (id) on delete cascade,
  plan uuid not null,
  seq int not null,
  phase text not null check (phase in ('upsert', 'remove', 'invalid')),
  -- a child stands for part of its parent (a split, a subset to retry); it is written down before it is sent
  parent bigint,
  first_key bytea not null,
  last_key bytea not null,
  size int not null,
  -- one letter a record: a added, c changed, r removed, x removal of an old match value (not counted), i invalid
  ops text not null,
  planned_at timestamptz not null default clock_timestamp(),
  -- gzip of the records' JSON lines
  payload bytea not null,
  -- packed baseline entries (key, fingerprint, match value) that settling acknowledges
  entries bytea not null,
  -- read the records back before anything is sent
  doubtful boolean not null default false,
  state text not null default 'planned' check (state in ('planned', 'sending', 'settled', 'split', 'discarded', 'doubt')),
  attempt int not null default 0,
  sent_at timestamptz,
  not_before timestamptz,
  delivered int not null default 0,
  skipped int not null default 0,
  rejected int not null default 0,
  -- its records have rows in doubt, stale_match or rejection: settling clears them
  on_books boolean not null default false,
  -- the run that took over this claimed batch to send it again verbatim (destinations that cannot be read back)
  heir uuid,
  -- exceptions only: {"<index>": {"outcome", "code", "message"}}
  outcomes jsonb
);
alter table batch alter column payload set storage external;
alter table batch alter column entries set storage external;
create index batch_work on batch (run, plan, seq, id);
create index batch_open on batch (run) where state in ('planned', 'sending');

-- The baseline: what the destination acknowledged, as a log of packed segments. Highest seq wins for a key.
create table baseline_segment (
  sync text not null,
  generation int not null,
  first_key bytea not null,
  seq bigint not null,
  last_key bytea not null,
  size int not null,
  entries bytea not null,
  primary key (sync, generation, first_key, seq)
);
alter table baseline_segment alter column entries set storage external;
create sequence baseline_seq;

-- Records whose last send has an unknown outcome: read before written (invariant 4).
create table doubt (
  sync text not null,
  key bytea not null,
  not_before timestamptz not null,
  primary key (sync, key)
);

-- Match values under which a record of ours may live although the baseline names another one (invariant 7).
create table stale_match (
  sync text not null,
  key bytea not null,
  match text not null,
  primary key (sync, key, match)
);

create table rejection (
  sync text not null,
  -- the key's bytes; for a row without a key, a hash of the row
  id bytea not null,
  key jsonb not null,
  op text not null,
  fingerprint bytea not null,
  class text not null,
  code text not null,
  field text,
  message text not null,
  attempts int not null default 1,
  run uuid not null,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  -- null: waits for a new version of the row or for a person
  next_attempt timestamptz,
  primary key (sync, id)
);

create table account_budget (
  account text primary key,
  requests_per_second double precision,
  tokens double precision not null default 0,
  refilled_at timestamptz not null default clock_timestamp(),
  paused_until timestamptz,
  pause_reason text
);

create table idempotency_key (
  key text primary key,
  body_hash text not null,
  run uuid not null,
  created_at timestamptz not null default clock_timestamp()
);

-- Answers of check and preview, which run on a worker: row values never pass through Temporal.
create table inspection (
  id uuid primary key,
  input jsonb,
  result jsonb,
  created_at timestamptz not null default clock_timestamp()
);
