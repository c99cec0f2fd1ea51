import { setTimeout as until } from 'node:timers/promises'
import { CRASH_DESTINATIONS, type CrashDestination } from '../crash/destinations.ts'
import { Servers } from '../harness/servers.ts'
import { startStack } from '../harness/stack.ts'
import { act } from './act.ts'
import { Crew } from './crew.ts'
import { draw } from './draw.ts'
import { documentsOf, sandbox, writeRows, type Ground } from './ground.ts'
import { repeatKills, type Counts, type Entry } from './journal.ts'
import { judge, passed, type Verdict } from './judge.ts'
import { bringQuiet, gather } from './quiet.ts'
import type { Config, Schedule } from './schedule.ts'

/** Of every answer of the destination, so that runs last long enough to be hit. */
const LATENCY_MS = 300

export interface ChaosOptions {
  readonly seed: number
  readonly seconds: number
  readonly destination: string
  /** Of a journal that is to be repeated. */
  readonly replay?: readonly Entry[]
  readonly tell: (entry: Entry) => void
}

export function destinationOf(slug: string): CrashDestination {
  const found = CRASH_DESTINATIONS.find((each) => each.slug === slug)
  if (!found) throw new Error(`--destination is one of ${CRASH_DESTINATIONS.map((each) => each.slug).join(', ')}`)
  return found
}

/** One schedule from its first step to the verdict. Rejects if quiet never comes. */
export async function runChaos({
  seed,
  seconds,
  destination: slug,
  replay,
  tell,
}: ChaosOptions): Promise<{ findings: Verdict; counts: Counts }> {
  const destination = destinationOf(slug)
  const drawn = draw(seed, seconds, destination)
  const schedule = replay ? repeatKills(drawn, replay) : drawn
  tell({ chaos: { seed, seconds, destination: slug } })
  const servers = await Servers.start()
  const stack = await startStack({}, servers.addresses)
  const begun = performance.now()
  const ms = (): number => Math.round(performance.now() - begun)
  let kills = 0
  const crew = new Crew({
    stack,
    fates: schedule.fates,
    note: (entry) => {
      if ('died' in entry) kills++
      tell({ ms: ms(), ...entry })
    },
  })
  const ground: Ground = { stack, servers, crew, destination }
  try {
    await setTheStage(ground, schedule)
    const config = await playOut(ground, schedule, { ms, tell })
    tell({ ms: ms(), quiet: 'no more faults; open runs end, then one more' })
    await bringQuiet(ground, schedule, config)
    const evidence = await gather(ground, config)
    const findings = judge(evidence)
    const counts: Counts = {
      runs: evidence.runs.length,
      kills,
      records: evidence.held.size,
      effective: evidence.writes.reduce((sum, { effective }) => sum + effective, 0),
      repeated: evidence.repeated,
    }
    tell({ ms: ms(), verdict: passed(findings) ? 'passed' : 'failed', findings, counts })
    return { findings, counts }
  } finally {
    await crew.dismiss()
    await stack.stop()
    await servers.stop()
  }
}

async function setTheStage(ground: Ground, { rows, config }: Schedule): Promise<void> {
  const { stack, destination, crew } = ground
  if (destination.settings) await sandbox(stack, 'POST', '/settings', { [destination.slug]: destination.settings })
  await sandbox(stack, 'POST', '/latency', { ms: LATENCY_MS })
  await stack.warehouse.query('create table contacts (id bigint, email text, name text)')
  await writeRows(ground, { put: rows, remove: [] })
  await Promise.all([crew.start('api'), crew.start('worker'), crew.start('worker')])
  await stack.apply(documentsOf(ground, config))
}

/**
 * Takes the steps in order, the time that was drawn between two of them apart, at least: a slow machine plays more slowly. Gives the
 * configuration that was applied last, with no guard.
 */
async function playOut(
  ground: Ground,
  schedule: Schedule,
  { ms, tell }: { ms: () => number; tell: (entry: Entry) => void },
): Promise<Config> {
  let config = schedule.config
  const pending: Promise<void>[] = []
  let zero = performance.now()
  for (const [index, { atMs, step }] of schedule.steps.entries()) {
    zero = Math.max(zero, performance.now() - atMs)
    await until(Math.max(0, zero + atMs - performance.now()))
    const acted = await act(ground, step)
    if (acted.pending) pending.push(acted.pending)
    if (step.do === 'config') config = step.config
    tell({ ms: ms(), step, index, result: acted.result, ...(acted.struck === undefined ? {} : { struck: acted.struck }) })
  }
  await Promise.all(pending)
  return { ...config, maxChanged: null }
}
