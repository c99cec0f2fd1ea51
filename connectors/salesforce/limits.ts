/** Numbers that Salesforce sets, each with its rule, and what we make of them. Durations are milliseconds. */

/** REST API version that we speak: one behind the newest, so that every org has it during a release's roll-out. */
export const API_VERSION = '66.0'
/** sObject Collections know upsert since this one (REST guide, "Upsert records by external ID"). */
export const OLDEST_VERSION = 46

/** Records per Collections call (REST guide, sObject Collections). */
export const BATCH_SIZE = 200

/**
 * Requests in flight per worker. Salesforce limits only calls that run for 20 s or longer (25 at once; 5 in developer orgs), but
 * batches that touch children of one parent wait for its lock, so more in flight brings refusals, not speed.
 */
export const CONCURRENCY = 5

/** Records up to which Collections are quicker than a bulk job ("more than 2,000 records": Bulk API 2.0 guide). */
export const BULK_FROM = 2_000

/**
 * A bulk job: 100 MB of CSV, which are 150 MB in base64, is the limit (Bulk API 2.0 guide, "Limits"). Records: fifteen internal
 * batches of 10,000, so that a million records are seven jobs and a job that fails leaves no more than that over.
 */
export const MAX_BULK_BYTES = 90_000_000
export const MAX_BULK_RECORDS = 150_000
/** Salesforce divides a job into batches of so many, of which it counts 15,000 a rolling day, Bulk API 1.0 included. */
export const INTERNAL_BATCH_RECORDS = 10_000
/** Salesforce takes more at once but works on a few batches of an org at a time; what waits there cannot be paused here. */
export const BULK_CONCURRENCY = 3
/** "A single field or row": 32,000 and 400,000 characters (Bulk API 2.0 guide, "Limits"). */
export const MAX_BULK_CELL_CHARS = 32_000
export const MAX_BULK_ROW_CHARS = 400_000
/** Calls of any kind end at Salesforce after 10 minutes; an upload of 90 MB needs 1.2 Mbit/s to be through by then. */
export const BULK_TRANSFER_MS = 600_000
/** An empty job that no ledger knows is certainly nobody's after a day; it is looked for that often. */
export const ORPHAN_AGE_MS = 86_400_000
export const SWEEP_EVERY_MS = 3_600_000

/** A URI above 16,384 bytes is refused with 414 (limits cheat-sheet); host and path take some of it. */
export const MAX_QUERY_BYTES = 15_000

/** Share of the org's daily API calls that we use; the rest is for the others who share the org. */
export const DAILY_REQUEST_SHARE = 0.8
/** Daily calls count over a rolling 24 h: when some become free is not told, so it is looked at this often. */
export const DAILY_WAIT_MS = 300_000
/** 403 "ConcurrentRequests Limit exceeded": a long-running call has to end first. */
export const CONCURRENT_WAIT_MS = 5_000

/** UNABLE_TO_LOCK_ROW: after each refusal the rows go on in batches of this size, after a wait of about this long. */
export const LOCK_ROUNDS = [
  { size: 50, waitMs: 500 },
  { size: 10, waitMs: 1_000 },
  { size: 10, waitMs: 2_000 },
] as const

/** Longest life of a JWT assertion is three minutes (help, OAuth 2.0 JWT bearer flow). */
export const ASSERTION_LIFE_SECONDS = 120

/** A REST call is ended by Salesforce after 10 minutes; ours are small, and a lost one is over soon after our own abort. */
export const TIMEOUT_SECONDS = 120
export const LOST_REQUEST_SECONDS = 30

/** First and last day that a date field takes (SOAP guide, "Date literals and values"). */
export const FIRST_DAY = '1700-01-01'
export const LAST_DAY = '4000-12-31'
