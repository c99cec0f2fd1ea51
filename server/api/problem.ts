import { STATUS_CODES } from 'node:http'

/** One thing that is wrong in a request: `pointer` is a JSON pointer into its body. */
export interface FieldProblem {
  readonly pointer: string
  readonly message: string
}

export interface ProblemInit {
  readonly status: number
  /** Stable, for programs: `not_found`, `config`, `in_use`, … */
  readonly code: string
  /** One sentence or two: what is wrong and what to do. Holds neither row values nor secrets. */
  readonly detail: string
  /** Default: the status code's own phrase. */
  readonly title?: string
  readonly errors?: readonly FieldProblem[]
  /** Further members of the answer's body, such as `run`. */
  readonly extra?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** An answer of the API that is an error; the error handler turns it into RFC 9457 `application/problem+json`. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly errors: readonly FieldProblem[] | null
  readonly extra: Readonly<Record<string, unknown>>

  constructor(init: ProblemInit) {
    super(init.detail, init.cause === undefined ? undefined : { cause: init.cause })
    this.status = init.status
    this.code = init.code
    this.title = init.title ?? STATUS_CODES[init.status] ?? 'Error'
    this.detail = init.detail
    this.errors = init.errors ?? null
    this.extra = init.extra ?? {}
  }
}
