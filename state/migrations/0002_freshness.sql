-- When the plan of a run began to read the model: what it shows is as fresh as that.
alter table run add column plan_began_at timestamptz;

-- The plan's beginning of the last run that ended owing nothing; survives the run's row.
alter table sync_state add column fresh_at timestamptz;
