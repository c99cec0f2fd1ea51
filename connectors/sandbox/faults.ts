import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

/**
 * A scripted fault. It counts the requests that match `on`, `method` and `path` from the moment it was scripted and strikes at
 * the `nth` (1-based, default 1) and the ones after it, `times` in all (default 1). The first due fault of the list wins.
 *
 * `do`: `status` answers with status, headers and body · `html` the same with an HTML page (default 502) · `drop_before` destroys the
 * connection, request not applied · `drop_after` applies, then destroys · `slow` waits `delayMs` · `truncate` announces the whole
 * answer and ends after half of it · `reset_mid_body` sends half of the answer, then a TCP reset · `reset_mid_request` reads half of
 * the request, then a TCP reset, not applied · `partial` applies and leaves every second element out of the answer's `results`, or of
 * the answer if it is a list · `hold` waits until `POST /_sandbox/release`.
 *
 * `commit`: `none` not applied (default of status and html; the others cannot) · `before` applied first, then the fault (default of
 * slow, truncate, reset_mid_body) · `after` the wait first, then applied, even if the client has gone (default of hold).
 *
 * | fault | source |
 * |---|---|
 * | status, html | recorded: gateways answer HTML; documented: 524 and 504 after the change was applied |
 * | drop_before, drop_after, reset_mid_body, reset_mid_request, truncate | inferred: what any connection can do |
 * | slow | documented: HubSpot's 524 after 100 s, the change may go through; harsher: any delay, any request |
 * | partial | recorded: HubSpot's batch update leaves merged-away records out in silence; harsher: every second one, any request |
 */
export const Fault = Type.Object(
  {
    on: Type.String({ description: 'slug of the stand-in' }),
    method: Type.Optional(Type.String()),
    path: Type.Optional(
      Type.String({ description: 'starts with "/": a prefix of the path after the slug; otherwise a regular expression' }),
    ),
    nth: Type.Optional(Type.Integer({ minimum: 1 })),
    times: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Literal('always')])),
    do: Type.Enum([
      'status',
      'html',
      'drop_before',
      'drop_after',
      'slow',
      'truncate',
      'reset_mid_body',
      'reset_mid_request',
      'partial',
      'hold',
    ]),
    commit: Type.Optional(Type.Enum(['none', 'before', 'after'])),
    status: Type.Optional(Type.Integer({ minimum: 200, maximum: 599 })),
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    body: Type.Optional(Type.Unknown({ description: 'a string as it stands, anything else as JSON' })),
    delayMs: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
)
export type Fault = Static<typeof Fault>

/** Checks what a client posted. Throws Error that names the first wrong place. */
export function parseFaults(input: unknown): Fault[] {
  const shape = Type.Object({ faults: Type.Array(Fault) }, { additionalProperties: false })
  if (!Value.Check(shape, input)) {
    const first = Value.Errors(shape, input)[0]
    throw new Error(`faults${first?.instancePath ?? ''}: ${first?.message ?? 'not a list of faults'}`)
  }
  for (const fault of input.faults) matcher(fault)
  return input.faults
}

/** The list of scripted faults with their counters. */
export class FaultScript {
  #armed: { readonly fault: Fault; readonly matches: (path: string) => boolean; seen: number; struck: number }[] = []

  /** Adds to the list. */
  add(faults: readonly Fault[]): void {
    this.#armed.push(...faults.map((fault) => ({ fault, matches: matcher(fault), seen: 0, struck: 0 })))
  }

  /** Counts this request for every fault that it matches; the fault that strikes it, or null. */
  next(slug: string, method: string, path: string): Fault | null {
    let due: { readonly fault: Fault; struck: number } | null = null
    for (const armed of this.#armed) {
      const { fault } = armed
      if (fault.on !== slug || (fault.method ?? method).toUpperCase() !== method || !armed.matches(path)) continue
      armed.seen += 1
      const first = fault.nth ?? 1
      const last = fault.times === 'always' ? Infinity : first + (fault.times ?? 1) - 1
      if (due === null && armed.seen >= first && armed.seen <= last) due = armed
    }
    if (due === null) return null
    due.struck += 1
    return due.fault
  }

  /** Every fault with how many requests it matched and how often it struck. */
  report(): { readonly fault: Fault; readonly seen: number; readonly struck: number }[] {
    return this.#armed.map(({ fault, seen, struck }) => ({ fault, seen, struck }))
  }

  clear(): void {
    this.#armed = []
  }
}

function matcher({ path }: Fault): (path: string) => boolean {
  if (path === undefined) return () => true
  if (path.startsWith('/')) return (actual) => actual.startsWith(path)
  const pattern = new RegExp(path)
  return (actual) => pattern.test(actual)
}
