import type { IncomingHttpHeaders } from 'node:http'

/** One request as a stand-in sees it. */
export interface StandInRequest {
  readonly method: string
  /** Without the `/slug` in front and without the query; at least `/`. Percent-encoding is left as it came. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface StandInAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** A string is sent as UTF-8; `content-type: application/json` unless the headers say otherwise. */
  readonly body?: string | Buffer
}

/** What was written under one record version: how often it changed the stored record, how often it came again. */
export interface WriteCount {
  readonly object: string
  readonly key: string
  /** Id of the record version, where the wire carries one (webhook, HubSpot's trace id); else null. */
  readonly recordId: string | null
  /** 16 hex digits over what was written; `deleted` for a removal. */
  readonly content: string
  readonly effective: number
  readonly repeated: number
}

export interface StandInReport {
  readonly writes: readonly WriteCount[]
  /** `records`: stored now. `effective` and `repeated`: sums over `writes`. */
  readonly totals: { readonly records: number; readonly effective: number; readonly repeated: number }
  /** Further findings of this stand-in, for example the webhook's repeats with other bytes. */
  readonly findings: Readonly<Record<string, unknown>>
}

export interface StoredRecord {
  readonly object: string
  readonly key: string
  readonly fields: unknown
}

/**
 * Behaves as one vendor's API does where its connector touches it. State lives in memory. `handle` applies the request and says
 * how it would be answered; the sandbox core around it adds faults and latency, so a stand-in never waits or drops by itself.
 */
export interface StandIn {
  /** First segment of its addresses: `/slug/…`. */
  readonly slug: string
  /** First segment of what the vendor's own client asks for at the host's root, whatever its base address; it stays in the path. */
  readonly root?: string
  handle(request: StandInRequest): StandInAnswer | Promise<StandInAnswer>
  report(): StandInReport
  /** Stored records, of one object or of all, removed ones absent. */
  records(object?: string): readonly StoredRecord[]
  /** Knobs of this stand-in (`POST /_sandbox/settings`), merged into those set before. Throws Error with a message for unknown ones. */
  configure?(settings: Readonly<Record<string, unknown>>): void
  /** Back to the state at start, settings included. */
  reset(): void
}

/** An answer with a JSON body. */
export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): StandInAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}
