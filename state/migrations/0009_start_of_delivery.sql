-- What a plan means for the baseline takes effect when its delivery begins, so that a run that never delivers changes nothing.

-- How the keys of the plan's generation are made, as sync_state has them of the current one.
alter table run add column key_parts text;

-- Baseline entries that end with the plan's delivery, packed as those of a segment.
create table lapse (
  run uuid not null references run (id) on delete cascade,
  first_key bytea not null,
  last_key bytea not null,
  size int not null,
  entries bytea not null
);
create index lapse_by_run on lapse (run);
