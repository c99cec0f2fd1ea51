import { FAILPOINTS, type Strike } from '../../activities/failpoints.ts'
import type { Fault } from '../../connectors/sandbox/faults.ts'
import type { CrashDestination } from '../crash/destinations.ts'
import { randomFrom, type Random } from './random.ts'
import { Rows } from './rows.ts'
import type { Config, Deed, Schedule, Step, Timed } from './schedule.ts'

/** What has to be known of a destination to make its life hard. */
export type Target = Pick<CrashDestination, 'slug' | 'requests' | 'refusal' | 'throttle'>

const ROWS = 400
/** Between two steps, on average. */
const GAP_MS = 900
/** How often a trigger is followed by something aimed at its run. */
const AIMED = 0.5
/** Processes whose fate is drawn; more are hardly ever started. */
const FATES = 200

const STEPS = { rows: 10, trigger: 9, fault: 8, deed: 4, config: 1, kill: 3, freeze: 1, move: 1 } as const
const DEEDS = {
  pause: 3,
  resume: 3,
  cancel: 2,
  approve: 3,
  reject: 1,
  terminate: 2,
  'reset to plan': 1,
  'reset to deliver': 2,
} as const satisfies Record<Deed, number>
const KILLS = { worker: 5, api: 2, temporal: 1, postgres: 2 } as const
/** A request of the chaos's destinations is aborted after a second and may take effect for one more. */
const SLOW_MS = 1_500

type What = Omit<Fault, 'on' | 'method' | 'path' | 'nth' | 'times'>

/** With weights; what a destination answers in its own words comes from it. */
const FAULTS: Readonly<Record<string, { readonly weight: number; readonly what: (target: Target) => What }>> = {
  'dropped before': { weight: 2, what: () => ({ do: 'drop_before' }) },
  'dropped after': { weight: 4, what: () => ({ do: 'drop_after' }) },
  truncated: { weight: 2, what: () => ({ do: 'truncate' }) },
  'reset in mid-body': { weight: 2, what: () => ({ do: 'reset_mid_body' }) },
  html: { weight: 1, what: () => ({ do: 'html' }) },
  'error 500': { weight: 1, what: () => ({ do: 'status', status: 500 }) },
  'error 503, applied': { weight: 2, what: () => ({ do: 'status', status: 503, commit: 'before' }) },
  'slow, applied': { weight: 2, what: () => ({ do: 'slow', delayMs: SLOW_MS }) },
  'applied late': { weight: 2, what: () => ({ do: 'slow', delayMs: SLOW_MS, commit: 'after' }) },
  throttled: { weight: 2, what: ({ throttle }) => throttle },
  refused: { weight: 1, what: ({ refusal }) => refusal },
}

/** The schedule of a seed: the same on every machine, whatever happens while it is carried out. Pure. */
export function draw(seed: number, seconds: number, target: Target): Schedule {
  const random = randomFrom(seed)
  const rows = new Rows(random, ROWS)
  const first = rows.all()
  const config = drawConfig(random)
  const steps: Timed[] = [{ atMs: 0, step: { do: 'trigger', options: [{}] } }]
  for (let atMs = gap(random); atMs < seconds * 1_000; atMs += gap(random)) {
    const step = drawStep(random, rows, target)
    steps.push({ atMs, step })
    if (step.do !== 'trigger' || random.next() > AIMED) continue
    atMs += random.whole(100, 2_500)
    steps.push({ atMs, step: random.next() < 0.5 ? { do: 'kill', who: 'worker' } : { do: 'deed', deed: random.weighted(DEEDS) } })
  }
  const fates = {
    worker: Array.from({ length: FATES }, () => drawFate(random, 0.6)),
    api: Array.from({ length: FATES }, () => drawFate(random, 0.3)),
  }
  return { seed, destination: target.slug, rows: first, config, steps, fates, repair: rows.repair() }
}

const gap = (random: Random): number => random.whole(100, 2 * GAP_MS - 100)

function drawStep(random: Random, rows: Rows, target: Target): Step {
  const kind = random.weighted(STEPS)
  switch (kind) {
    case 'rows':
      return rows.draw()
    case 'trigger':
      return { do: kind, options: drawTriggers(random) }
    case 'fault':
      return { do: kind, faults: [drawFault(random, target)] }
    case 'deed':
      return { do: kind, deed: random.weighted(DEEDS) }
    case 'config':
      return { do: kind, config: drawConfig(random) }
    case 'kill':
      return { do: kind, who: random.weighted(KILLS) }
    case 'freeze':
      return { do: kind, ms: random.whole(500, 12_000) }
    case 'move':
      return { do: kind }
  }
}

/** Mostly one; now and then several at the same moment. */
function drawTriggers(random: Random): object[] {
  const count = random.next() < 0.25 ? random.whole(2, 4) : 1
  return Array.from({ length: count }, () => ({
    onConflict: random.one(['reject', 'join', 'queue']),
    ...(random.next() < 0.08 ? { full: true } : {}),
    ...(random.next() < 0.1 ? { dryRun: true } : {}),
  }))
}

function drawConfig(random: Random): Config {
  return {
    prefix: random.one(['', '', 'Dear ']),
    maxChanged: random.one([null, null, '5%']),
    batchSize: random.one([10, 40]),
  }
}

function drawFault(random: Random, target: Target): Fault {
  const [kind = ''] = random.some(Object.keys(target.requests), 1)
  const where = { on: target.slug, ...target.requests[kind], nth: random.whole(1, 4), times: random.whole(1, 2) }
  const name = random.weighted(Object.fromEntries(Object.entries(FAULTS).map(([each, { weight }]) => [each, weight])))
  return { ...where, ...FAULTS[name]?.what(target) } as Fault
}

/** Which process dies or freezes at which failpoint; most places are passed a few times in a run. */
function drawFate(random: Random, share: number): Strike | null {
  const fated = random.next() < share
  const [at] = random.some(FAILPOINTS, 1)
  const strike: Strike = { at: at ?? 'after-claim', action: random.next() < 0.85 ? 'kill' : 'freeze', pass: random.whole(1, 6) }
  return fated ? strike : null
}
