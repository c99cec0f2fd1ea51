-- The query of a run's plan in a warehouse that keeps results: a later attempt goes on with it.
alter table run add column source_query text;
