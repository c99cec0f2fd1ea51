/** Numbers that HubSpot sets, each with its rule. Durations are milliseconds. */

/** Inputs per batch call (developer guide, CRM objects: "batches are limited to 100 records at a time"). */
export const BATCH_SIZE = 100

/**
 * Requests in flight per worker. HubSpot names no limit on concurrency, only on requests per ten seconds; at 19 a second (190 per
 * 10 s) and half a second an answer eight in flight already reach that, more would only pile up behind the rate limit.
 */
export const CONCURRENCY = 8

/** Characters of a text property (developer guide, properties). */
export const MAX_TEXT = 65_536

/** 429 TEN_SECONDLY_ROLLING: the window that has to pass (usage guidelines). No Retry-After is documented for 429. */
export const TEN_SECONDLY_WAIT_MS = 10_000

/** 429 SECONDLY (usage guidelines). */
export const SECONDLY_WAIT_MS = 1_000

/** 423 Locked: "wait at least 2 seconds" (error handling guide). */
export const LOCKED_WAIT_MS = 2_000

/** 477 migration in progress: Retry-After says how long, up to a day (error handling guide); this where it says nothing. */
export const MIGRATION_WAIT_MS = 60_000
export const LONGEST_WAIT_MS = 24 * 3_600_000

/** Share of the quota in the headers that we use: the other tenth is for requests that other workers have on their way. */
export const QUOTA_SHARE = 0.9

/** Access tokens of OAuth live 1800 s; a refresh this long before the end spares the 401 (OAuth guide: do not wait for the 401). */
export const TOKEN_MARGIN_MS = 120_000

/** A lost request: 524 is the edge giving up after 100 s, so HubSpot may still be at work after our own abort. */
export const LOST_REQUEST_SECONDS = 30
export const TIMEOUT_SECONDS = 60
export const REQUESTS_PER_SECOND = 10
