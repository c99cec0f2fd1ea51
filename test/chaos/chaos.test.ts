import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from './journal.ts'
import { runChaos } from './run-chaos.ts'
import { SEEDS } from './seeds.ts'

/** Short forms of seeded chaos (`npm run chaos` has the long ones). A failure prints its journal, which `--replay FILE` repeats. */
for (const { seed, seconds, destination, story } of SEEDS) {
  test(`chaos, seed ${seed} for ${seconds} s on ${destination}: ${story}`, { timeout: 300_000 }, async () => {
    const journal: Entry[] = []
    const { findings } = await runChaos({ seed, seconds, destination, tell: (entry) => journal.push(entry) })
    assert.deepEqual(findings, { lost: [], doubled: [], untrue: [] }, journal.map((entry) => JSON.stringify(entry)).join('\n'))
  })
}
