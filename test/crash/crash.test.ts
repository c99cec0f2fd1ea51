import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FAILPOINTS } from '../../activities/failpoints.ts'
import { record } from '../harness/proof.ts'
import { crash, type CrashCell } from './cell.ts'
import { CRASH_DESTINATIONS, type CrashDestination } from './destinations.ts'
import { Ground } from './ground.ts'
import { chosen, WHOLE } from './choice.ts'
import { waysTo, type Way } from './ways.ts'

/**
 * A process is killed at every named place, alone and beside another one; nothing is lost and nothing doubled, counted at the
 * destination. The default suite takes a slice, `npm run test:crash` all of it.
 */
const SLICE: Readonly<Record<string, readonly string[]>> = {
  hubspot: [
    'after-request, first pass, plain, restarted',
    'before-removals, first pass, plain, second alive',
    'after-end, first pass, followed, restarted',
    'after-accept, first pass, asked, restarted',
  ],
  webhook: [
    'in-request, first pass, plain, restarted',
    'after-publish, first pass, plain, second alive',
    'after-settle, first pass, plain, restarted',
    'in-compaction, first pass, compacting, restarted',
  ],
}

const ABOUT = {
  title: 'Crash matrix',
  about:
    'A process is killed by SIGKILL when it passes a failpoint (`activities/failpoints.ts`), and starts again, or another one that lives ' +
    'already goes on; where every process dies there, three do. Real processes of `dist/`, real PostgreSQL, real Temporal server, the ' +
    'stand-ins as destinations. Every run has to succeed by itself; a further run finds nothing to do.',
  rows: 'failpoint',
  command: "TAILRACE_ONLY='^ROW,' npm run test:crash",
}

const SUCCESSORS = ['restarted', 'second alive'] as const
/** Passed once for each batch: the second time some are settled already. */
const EACH_BATCH = /^(before|after)-(claim|request|settle)$/

describe('crash', { concurrency: 3 }, () => {
  for (const destination of CRASH_DESTINATIONS) {
    const cells = cellsOf(destination).filter(({ name }) => chosen(name, SLICE[destination.slug] ?? []))
    if (cells.length === 0) continue
    describe(`crash · ${destination.slug}`, { concurrency: 1 }, () => {
      let ground: Ground
      before(async () => void (ground = await Ground.open(destination)))
      after(() => ground.close())
      for (const { name, cell, way } of cells) {
        test(name, async () => {
          const count = await crash(ground, way, cell)
          const column = `${destination.slug}, ${cell.successor}`
          if (WHOLE) record('crash', ABOUT, { row: cell.failpoint, column, variant: name }, count)
          assert.deepEqual([count.lost, count.doubled], [0, 0], JSON.stringify(count))
        })
      }
    })
  }
})

interface NamedCell {
  readonly name: string
  readonly cell: CrashCell
  readonly way: Way
}

function cellsOf({ oneRequest, jobs }: CrashDestination): NamedCell[] {
  const reached = FAILPOINTS.filter((failpoint) => !(oneRequest && failpoint.endsWith('-renew')))
  return reached.flatMap((failpoint) =>
    Object.entries(waysTo(failpoint)).flatMap(([course, way]) => {
      if (way.byJobs && jobs === undefined) return []
      const named = (words: string, cell: Omit<CrashCell, 'failpoint'>): NamedCell => ({
        name: `${failpoint}, ${words}, ${course}, ${cell.successor}`,
        cell: { failpoint, ...cell },
        way,
      })
      // Of two workers neither need come a second time; what is settled together leaves nothing for a third death.
      const alone = [
        named('second pass', { pass: 2, successor: 'restarted', deaths: 1 }),
        ...(failpoint === 'after-settle' ? [] : [named('three deaths', { pass: 1, successor: 'restarted', deaths: 3 })]),
      ]
      // One API serves.
      const successors = way.role === 'api' ? SUCCESSORS.slice(0, 1) : SUCCESSORS
      return [
        ...successors.map((successor) => named('first pass', { pass: 1, successor, deaths: 1 })),
        ...(EACH_BATCH.test(failpoint) ? alone : []),
      ]
    }),
  )
}
