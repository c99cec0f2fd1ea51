-- What a sync's schedule in Temporal was made from and how Temporal showed it then; a difference is drift.
create table schedule (
  sync text primary key,
  made text not null,
  shown text not null,
  -- the receiver said that it is gone for good (410): paused until a run gets through, or until the schedule is configured anew
  gone boolean not null default false
);

-- Retention looks for runs by their end.
create index run_ended on run (finished_at) where finished_at is not null;
