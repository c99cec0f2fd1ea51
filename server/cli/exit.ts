/** What the process ends with; contract section 1. */
export const EXIT = {
  done: 0,
  /** Failed, cancelled, or refused because a run is active. */
  failed: 1,
  /** `plan` found differences, or a run ended `partial`. */
  differences: 2,
  /** The run waits for approval. */
  waiting: 3,
  /** Wrong usage, a path that does not exist included. */
  usage: 64,
  /** Wrong configuration, an empty folder included. */
  configuration: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends the command: `message` goes to stderr without a stack, the process exits with `exitCode`. An empty message prints nothing. */
export class CliError extends Error {
  override readonly name: string = 'CliError'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}
