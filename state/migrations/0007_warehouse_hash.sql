-- The warehouse's own hash of row versions that a plan saw, in packed entries: key, fingerprint and, as the match value, the hash. Each
-- is a true pair whatever became of the version, so rows here are hints: consumed by the next plan that compares in the warehouse.
create table warehouse_hash (
  id bigint generated always as identity primary key,
  sync text not null,
  size int not null,
  entries bytea not null
);
alter table warehouse_hash alter column entries set storage external;
create index warehouse_hash_by_sync on warehouse_hash (sync, id);
