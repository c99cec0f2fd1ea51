import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

/**
 * A scripted fault. It counts the requests that match `on`, `method` and `path` from the moment it was scripted and strikes at
 * the `nth` (1-based, default 1) and the ones after it, `times` in all (default 1). The first due fault of the list wins.
 *
 * `do`: `status` answers with status, headers and body · `html` the same with an HTML page (default 502) · `drop_before` destroys the
 * connection, request not applied · `drop_after` applies, then destroys · `slow` waits `delayMs` · `truncate` announces the whole
 * answer and ends after half of it · `reset_mid_body` sends half of the answer, then a TCP reset · `hold` waits until
 * `POST /_sandbox/release`.
 *
 * `commit`: `none` not applied (default of status and html; the others cannot) · `before` applied first, then the fault (default of
 * slow, truncate, reset_mid_body) · `after` the wait first, then applied, even if the client has gone (default of hold).
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
    do: Type.Enum(['status', 'html', 'drop_before', 'drop_after', 'slow', 'truncate', 'reset_mid_body', 'hold']),
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
  #armed: { readonly fault: Fault; readonly matches: (path: string) => boolean; seen: number }[] = []

  /** Adds to the list. */
  add(faults: readonly Fault[]): void {
    this.#armed.push(...faults.map((fault) => ({ fault, matches: matcher(fault), seen: 0 })))
  }

  /** Counts this request for every fault that it matches; the fault that strikes it, or null. */
  next(slug: string, method: string, path: string): Fault | null {
    let due: Fault | null = null
    for (const armed of this.#armed) {
      const { fault } = armed
      if (fault.on !== slug || (fault.method ?? method).toUpperCase() !== method || !armed.matches(path)) continue
      armed.seen += 1
      const first = fault.nth ?? 1
      const last = fault.times === 'always' ? Infinity : first + (fault.times ?? 1) - 1
      if (due === null && armed.seen >= first && armed.seen <= last) due = fault
    }
    return due
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
