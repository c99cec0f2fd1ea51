import type { Failpoint } from '../../activities/failpoints.ts'
import type { Verdict } from './judge.ts'
import type { Schedule, Timed } from './schedule.ts'

export type ProcessKind = 'worker' | 'api'

/** The last failpoint that a process passed before it ended; null: none. */
export type Passed = { readonly at: Failpoint; readonly pass: number } | null

/** A process came or went. */
export type Turn =
  { readonly started: ProcessKind; readonly nth: number } | { readonly died: ProcessKind; readonly nth: number; readonly passed: Passed }

/** What the schedule came to. */
export interface Counts {
  readonly runs: number
  readonly kills: number
  readonly records: number
  /** Writes that took effect, and repeats that the receiver dropped. */
  readonly effective: number
  readonly repeated: number
}

/** One line of the journal, in JSON. */
export type Entry =
  | { readonly chaos: { readonly seed: number; readonly seconds: number; readonly destination: string } }
  | (Turn & { readonly ms: number })
  /** `struck`: the n-th process of its kind, which this step kills. */
  | { readonly ms: number; readonly step: Timed['step']; readonly index: number; readonly result: string; readonly struck?: number }
  | { readonly ms: number; readonly quiet: string }
  | { readonly ms: number; readonly verdict: 'passed' | 'failed'; readonly findings: Verdict; readonly counts: Counts }

export function parseJournal(text: string): Entry[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Entry)
}

/**
 * The schedule of a journal with its kills where they struck: a process that a step killed at some moment dies by itself at the
 * same pass of the failpoint that it had passed last. One that had passed none is killed by its step again. Pure.
 */
export function repeatKills(schedule: Schedule, journal: readonly Entry[]): Schedule {
  const fates = { worker: [...schedule.fates.worker], api: [...schedule.fates.api] }
  const repeated = new Set<string>()
  for (const entry of journal) {
    if (!('died' in entry) || entry.passed === null) continue
    fates[entry.died][entry.nth] = { ...entry.passed, action: 'kill' }
    repeated.add(`${entry.died} ${entry.nth}`)
  }
  const dropped = new Set<number>()
  for (const entry of journal) {
    if (!('step' in entry) || entry.step.do !== 'kill' || entry.struck === undefined) continue
    if (repeated.has(`${entry.step.who} ${entry.struck}`)) dropped.add(entry.index)
  }
  return {
    ...schedule,
    fates,
    steps: schedule.steps.map((timed, index) => (dropped.has(index) ? { ...timed, step: { do: 'nothing' } } : timed)),
  }
}
