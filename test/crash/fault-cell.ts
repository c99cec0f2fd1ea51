import assert from 'node:assert/strict'
import type { Fault } from '../../connectors/sandbox/faults.ts'
import type { CrashDestination } from './destinations.ts'
import type { FaultCase } from './faults.ts'
import { FIRST_LOAD, succeeded, type Count, type Ground } from './ground.ts'

const LEAVE = 215
const ARRIVE = 10
const VERSIONS = FIRST_LOAD + LEAVE + ARRIVE

/** Kinds of requests that a life makes with a configuration: going record by record, or by bulk jobs. */
export interface Course {
  readonly requests: CrashDestination['requests']
  readonly config: object
}

export interface FaultCell {
  readonly course: Course
  /** Of the course's kinds of requests. */
  readonly kind: string
  readonly nth: number
}

/**
 * One cell of the fault matrix: a sync loads everything, then most rows leave and some arrive; the n-th request of a kind in the
 * whole of it meets the fault. Both runs have to succeed (or to end as the fault demands, then the next one does); the destination
 * is counted.
 */
export async function strike(ground: Ground, { fault, config, ends = [] }: FaultCase, { course, kind, nth }: FaultCell): Promise<Count> {
  await ground.crew(1)
  await ground.fresh({ ...course.config, ...config })
  await ground.fault({ ...course.requests[kind], nth, ...fault })
  await life(ground, ends)
  const [scripted] = (await reportOf(ground)).faults
  assert.equal(scripted?.struck, fault.times ?? 1, 'the fault has struck')
  return ground.count(VERSIONS)
}

/** How many requests of each kind a life without faults makes. */
export async function requestsOfALife(ground: Ground, { requests, config }: Course): Promise<ReadonlyMap<string, number>> {
  await ground.crew(1)
  await ground.fresh(config)
  // What never strikes counts all the same.
  await ground.fault(...Object.values(requests).map((request) => ({ ...request, nth: 1_000_000, do: 'drop_before' as const })))
  await life(ground, [])
  const { faults } = await reportOf(ground)
  return new Map(Object.keys(requests).map((kind, index) => [kind, faults[index]?.seen ?? 0]))
}

async function life(ground: Ground, ends: readonly string[]): Promise<void> {
  await settled(ground, ends)
  await ground.stack.warehouse.query(`
    delete from contacts where id <= ${LEAVE};
    insert into contacts select n, 'person' || n || '@example.com', 'new' from generate_series(1001, ${1000 + ARRIVE}) as n`)
  await settled(ground, ends)
}

/** A run; once more if it ended as it may. */
async function settled(ground: Ground, ends: readonly string[]): Promise<void> {
  const run = await ground.ended(await ground.accept())
  if (run.state === 'failed' && ends.includes(run.error?.code ?? '')) await ground.run()
  else succeeded(run)
}

async function reportOf(ground: Ground): Promise<Report> {
  return (await (await fetch(`${ground.stack.sandbox.url}/_sandbox/report?writes=none`)).json()) as Report
}

interface Report {
  readonly faults: readonly { readonly fault: Fault; readonly seen: number; readonly struck: number }[]
}
