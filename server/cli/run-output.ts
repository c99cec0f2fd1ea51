import { stringify } from 'lossless-json'
import { settledOf } from './run-progress.ts'
import type { Run } from './run-answers.ts'
import { tableLines } from './table.ts'

/** Data goes to stdout; numbers keep the digits they were read with. */
export function printJson(value: unknown): void {
  process.stdout.write(`${stringify(value, undefined, 2) ?? 'null'}\n`)
}

export function printLines(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
}

/** A key as it is typed: its text, or for a composite key its JSON. */
export function keyText(key: unknown): string {
  return typeof key === 'string' ? key : (stringify(key) ?? '')
}

/** A run for people: state, counts, what it owes, why it ended. */
export function summaryLines(run: Run): string[] {
  const { counts } = run
  const named = (...names: string[]): string => names.map((name) => `${name}: ${counts[name] ?? 0}`).join(' · ')
  return [
    `${run.state}${run.dryRun ? ' (dry run)' : ''} · run ${run.id} of ${run.sync}`,
    named('read', 'unchanged', 'added', 'changed', 'removed', 'retried', 'invalid'),
    ...(run.dryRun ? [] : [named('delivered', 'skipped', 'rejected', 'inDoubt')]),
    `owed: ${counts['owed'] ?? 0}`,
    ...(run.waiting ? [`waiting: ${run.waiting.reason}${run.waiting.until === null ? '' : `, until ${run.waiting.until}`}`] : []),
    ...(run.error ? [`${run.error.code}: ${run.error.message}`] : []),
  ]
}

const RUNS_HEAD = ['RUN', 'SYNC', 'STATE', 'PLANNED', 'SETTLED', 'REJECTED', 'INVALID', 'OWED', 'STARTED', 'NOTE']

/** Runs as a table, one line each. */
export function runTable(runs: readonly Run[]): string[] {
  return tableLines(
    RUNS_HEAD,
    runs.map((run) => {
      const { done, all } = settledOf(run)
      const count = (name: string): number => run.counts[name] ?? 0
      const note = run.error?.code ?? run.waiting?.reason ?? ''
      return [
        run.id,
        run.sync,
        run.state,
        all,
        done,
        count('rejected'),
        count('invalid'),
        `owed: ${count('owed')}`,
        run.startedAt ?? '-',
        note,
      ]
    }),
  )
}
