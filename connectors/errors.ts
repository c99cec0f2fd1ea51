/**
 * Every way a connector can fail, and what follows. `applied` says whether the destination may hold the change:
 * `no` the batch may simply be sent again, `unknown` it must be read back (or repeated verbatim) first.
 */
export const ERROR_KINDS = {
  unreachable: { applied: 'no', end: null, advice: 'Check host, port and network policy; it is tried again by itself.' },
  throttled: { applied: 'no', end: null, advice: 'The account is over its limit; delivery pauses as long as it asks.' },
  stale: { applied: 'no', end: null, advice: 'The worker was too slow between claim and send; the batch is claimed again.' },
  refused: { applied: 'no', end: null, advice: 'The batch as a whole was refused; it is split until the bad record stands alone.' },
  in_doubt: { applied: 'unknown', end: null, advice: 'The answer was lost; the records are read back before anything is sent again.' },
  auth: { applied: 'no', end: 'auth', advice: 'Renew the credentials or their permissions, then run again.' },
  gone: { applied: 'no', end: 'gone', advice: 'The receiver is closed for good (410); the schedule is paused.' },
  destination: {
    applied: 'no',
    end: 'destination',
    advice: 'The destination refused the request itself; check its address and configuration.',
  },
  config: { applied: 'no', end: 'config', advice: 'Correct the configuration, then run again.' },
  query: { applied: 'no', end: 'query', advice: 'Correct the model, then run again.' },
  source: { applied: 'no', end: null, advice: 'The warehouse went away or could not answer; the plan is made anew.' },
  expired: { applied: 'no', end: null, advice: 'The warehouse lost the result of the query; the query is run again.' },
  cancelled: { applied: 'no', end: null, advice: '' },
} as const satisfies Record<string, { applied: 'no' | 'unknown'; end: string | null; advice: string }>

export type ErrorKind = keyof typeof ERROR_KINDS

/** The only error a connector throws. `message` holds neither row values nor secrets; the cause is kept for the log's stack only. */
export class ConnectorError extends Error {
  readonly kind: ErrorKind
  /** How long the destination asked to wait. */
  readonly retryAfterMs: number | null
  /** SQLSTATE, HTTP status or the vendor's own code. */
  readonly code: string | null

  constructor(kind: ErrorKind, message: string, extra: { cause?: unknown; retryAfterMs?: number; code?: string } = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'ConnectorError'
    this.kind = kind
    this.retryAfterMs = extra.retryAfterMs ?? null
    this.code = extra.code ?? null
  }
}
