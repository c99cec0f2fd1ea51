import { record } from '../harness/proof.ts'
import type { Counts } from './journal.ts'
import type { Verdict } from './judge.ts'

const ABOUT = {
  title: 'Chaos',
  about:
    'A schedule that follows from its seed: rows change, are renamed, swap e-mails, leave and come back; answers are lost, late, broken ' +
    'or refusals; workers, API, Temporal and PostgreSQL are killed, at random and at failpoints; runs are paused, cancelled, terminated, ' +
    'reset and triggered twice; the configuration changes. Then all is quiet, one more run ends, and the destination is compared record ' +
    "by record and write by write; every run's state and counts are checked too. Writes to Salesforce " +
    "carry no version's id: there `+ n` are writes of what was there already, by full runs.",
  rows: 'schedule',
  command: 'npm run chaos -- ROW',
}

export function recordChaos(
  { seed, seconds, destination }: { seed: number; seconds: number; destination: string },
  found: Verdict,
  counts: Counts,
): void {
  const row = `--seed ${seed} --minutes ${seconds / 60}`
  const count = { lost: found.lost.length, doubled: found.doubled.length, repeats: counts.repeated }
  record('chaos', ABOUT, { row, column: destination, variant: '' }, count)
}
