import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { record } from '../harness/proof.ts'
import { chosen, WHOLE } from './choice.ts'
import { CRASH_DESTINATIONS } from './destinations.ts'
import { requestsOfALife, strike, type Course } from './fault-cell.ts'
import { FAULTS } from './faults.ts'
import { Ground } from './ground.ts'

/**
 * Every fault that the sandbox can script, at the first, a middle and the last request of each kind; counted at the destination.
 * The default suite takes a slice, `npm run test:crash` all of it.
 */
const SLICE: Readonly<Record<string, readonly string[]>> = {
  hubspot: [
    'answer lost after it was applied, last archive',
    'applied after the deadline, middle upsert',
    'silent 200, not applied, first look-up',
    'every second result left out, middle upsert',
    'token expired in mid-run, renewed, last archive',
  ],
  webhook: [
    'answer cut in half, middle batch',
    'applied after the deadline, last batch',
    'reset in the middle of the request, first batch',
    'a storm of 429, middle batch',
  ],
}

const ABOUT = {
  title: 'Fault matrix',
  about:
    'A sync loads 230 rows, then 215 leave and 10 arrive; in the whole of it one request of a kind, the first, a middle or the last one, ' +
    'meets the fault. Both runs have to succeed, or to end as the fault demands (403: `auth`), and then the next one does.',
  rows: 'fault',
  command: "TAILRACE_ONLY='^ROW,' npm run test:crash",
}

const PLACES = ['first', 'middle', 'last'] as const
/** How often a job is asked for its state is a matter of time: which request will be the last cannot be told before. */
const WITHOUT_LAST = 'job, state'

describe('faults', { concurrency: 3 }, () => {
  for (const destination of CRASH_DESTINATIONS) {
    const faults = Object.entries({ ...FAULTS, ...destination.faults }).filter(([, fault]) => fault.on?.(destination) ?? true)
    const { jobs } = destination
    const courses: Course[] = [{ requests: destination.requests, config: {} }, ...(jobs ? [jobs] : [])]
    const cells = faults.flatMap(([row, fault]) =>
      courses.flatMap((course) =>
        Object.keys(course.requests).flatMap((kind) =>
          PLACES.filter((place) => place !== 'last' || kind !== WITHOUT_LAST).map((place) => ({
            row,
            fault,
            course,
            kind,
            place,
            name: `${row}, ${place} ${kind}`,
          })),
        ),
      ),
    )
    const wanted = cells.filter(({ name }) => chosen(name, SLICE[destination.slug] ?? []))
    if (wanted.length === 0) continue
    describe(`faults · ${destination.slug}`, { concurrency: 1 }, () => {
      let ground: Ground
      const requests = new Map<Course, ReadonlyMap<string, number>>()
      before(async () => {
        ground = await Ground.open(destination)
        for (const { course } of wanted) if (!requests.has(course)) requests.set(course, await requestsOfALife(ground, course))
      })
      after(() => ground.close())
      for (const { row, fault, course, kind, place, name } of wanted) {
        test(name, async () => {
          const total = requests.get(course)?.get(kind) ?? 0
          const nth = { first: 1, middle: Math.ceil(total / 2), last: total }[place]
          const count = await strike(ground, fault, { course, kind, nth })
          if (WHOLE) record('faults', ABOUT, { row, column: `${destination.slug}, ${kind}`, variant: place }, count)
          assert.deepEqual([count.lost, count.doubled], [0, 0], JSON.stringify(count))
        })
      }
    })
  }
})
