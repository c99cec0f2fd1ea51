-- Jobs of a destination's own that deliver many batches at once.
create table bulk_job (
  id bigint generated always as identity primary key,
  run uuid not null references run (id) on delete cascade,
  phase text not null check (phase in ('upsert', 'remove')),
  nr int not null,
  records int not null,
  -- the destination's id; written down before anything is uploaded, forgotten when that job was aborted
  remote_id text,
  -- planned → open → uploading → uploaded → closing → running → ended → settled → done
  state text not null default 'planned'
    check (state in ('planned', 'open', 'uploading', 'uploaded', 'closing', 'running', 'ended', 'settled', 'done')),
  -- from here on it may take effect
  closing_at timestamptz,
  -- why it ended early, in the destination's words
  error text,
  unique (run, phase, nr)
);

-- The bulk job that delivers the batch; null: it goes by itself, or is given back.
alter table batch add column job bigint;
-- Batches with an equal number hold records that are best sent together (children of one parent); null: the sync groups nothing.
alter table batch add column affinity smallint;
create index batch_by_job on batch (job) where job is not null;
