-- The caller's span (W3C Trace Context): whoever starts the run's workflow, it belongs to that trace.
alter table run add column traceparent text;
