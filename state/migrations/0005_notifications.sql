-- How a sync stands, as notifications tell it: ok, partial, failed, or parked by this run.
create table sync_condition (
  sync text primary key,
  condition text not null check (condition in ('ok', 'partial', 'failed', 'parked')),
  run uuid not null,
  since timestamptz not null default clock_timestamp()
);

-- One change of condition for one Notification, written in the statement that makes the change and sent by a workflow of its own.
create table notice (
  id uuid primary key default gen_random_uuid(),
  notification text not null,
  sync text not null,
  run uuid not null,
  event text not null,
  -- how the run stood; frozen, because every repeat has to carry the same bytes
  detail jsonb not null,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  ended_at timestamptz,
  outcome text check (outcome in ('sent', 'given_up', 'dropped'))
);
create index notice_unstarted on notice (created_at) where started_at is null;
