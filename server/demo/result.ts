import type { Crm, Rejection, Run, System, Tally } from './ask.ts'

export const ROUNDS = ['first', 'second'] as const
export type Round = (typeof ROUNDS)[number]

/** One run, and what its destination held afterwards. */
export interface Outcome {
  readonly round: Round
  readonly system: System
  readonly run: Run
  /** Records held now; writes and requests of this run alone. */
  readonly holds: Tally
  /** What is wrong, one line each; none: the run and the destination agree with the warehouse. */
  readonly problems: readonly string[]
}

export interface Owed {
  readonly system: System
  readonly rejection: Rejection
  /** The e-mail address in the warehouse. The demo may show it: it made it up. */
  readonly email: string | null
}

export interface DemoResult {
  readonly crm: Crm
  readonly rows: number
  readonly rate: string
  readonly outcomes: readonly Outcome[]
  readonly owed: readonly Owed[]
}

export const NAMES: Readonly<Record<System, string>> = { hubspot: 'HubSpot', salesforce: 'Salesforce', webhook: 'webhook' }

export function secondsOf({ startedAt, finishedAt }: Run): number | null {
  return startedAt === null || finishedAt === null ? null : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000
}

/** For `--json`: the table's rows as one object per run. */
export function asJson({ rows, rate, outcomes, owed }: DemoResult): object {
  return {
    rows,
    rate,
    agrees: outcomes.every(({ problems }) => problems.length === 0),
    runs: outcomes.map(({ round, system, run, holds, problems }) => ({
      round,
      destination: system,
      sync: run.sync,
      run: run.id,
      state: run.state,
      says: { ...run.counts, seconds: secondsOf(run) },
      holds,
      agrees: problems.length === 0,
      problems,
      temporalUrl: run.temporal.url,
    })),
    owed: owed.map(({ system, rejection, email }) => ({ destination: system, ...rejection, email })),
  }
}
