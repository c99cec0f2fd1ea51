import type { WriteCount } from '../../connectors/sandbox/stand-in.ts'
import type { Run } from '../harness/stack.ts'

/** What is there when all is quiet, and what was written on the way. */
export interface Evidence {
  /** By e-mail, as the configuration of the last run shows it. */
  readonly wanted: ReadonlyMap<string, string | null>
  readonly held: ReadonlyMap<string, string | null>
  readonly writes: readonly WriteCount[]
  /** Repeats of a version in all; a receiver that drops them by their id has none that counts. */
  readonly repeated: number
  readonly atLeastOnce: boolean
  /** Ids that came again with other bytes. */
  readonly mismatches: readonly string[]
  readonly runs: readonly Run[]
  /** The run after the quiet one: it must find nothing to do. */
  readonly last: Run
  /** Rows of the books that are left, by table. */
  readonly books: Readonly<Record<string, number>>
}

/** What contradicts the promises, as sentences; nothing: passed. */
export interface Verdict {
  /** Records that the destination holds otherwise than the warehouse does. */
  readonly lost: readonly string[]
  /** Versions that took effect more than once; where a receiver drops repeats, repeats with other bytes. */
  readonly doubled: readonly string[]
  /** States, counts and books that are not what they say. */
  readonly untrue: readonly string[]
}

/** Pure. */
export function judge(evidence: Evidence): Verdict {
  return { lost: records(evidence), doubled: versions(evidence), untrue: [...evidence.runs.flatMap(runIsTrue), ...quiet(evidence)] }
}

export const passed = ({ lost, doubled, untrue }: Verdict): boolean => lost.length + doubled.length + untrue.length === 0

function records({ wanted, held }: Evidence): string[] {
  const lost = [...wanted].filter(([email, name]) => held.get(email) !== name || !held.has(email))
  const extra = [...held.keys()].filter((email) => !wanted.has(email))
  return [
    ...lost.map(([email, name]) => `lost: ${email} should be ${name} and is ${held.has(email) ? held.get(email) : 'not there'}`),
    ...extra.map((email) => `left over: ${email} is ${held.get(email)} and should not be there`),
  ]
}

function versions({ writes, repeated, atLeastOnce, mismatches, runs }: Evidence): string[] {
  const doubled = writes.filter(({ recordId, effective }) => recordId !== null && effective > 1)
  // Where writes carry no version's id, a full run's look like repeats: the same content, planned anew.
  const told = writes.some(({ recordId }) => recordId !== null) || !runs.some(({ full }) => full)
  return [
    ...doubled.map(({ key, recordId, effective }) => `doubled: version ${recordId} of ${key} took effect ${effective} times`),
    ...(repeated > 0 && !atLeastOnce && told ? [`doubled: ${repeated} writes of a version that was there`] : []),
    ...mismatches.map((id) => `${id} came again with other bytes`),
  ]
}

/** States and counts of every run, as the contract has them. */
function runIsTrue({ id, state, counts, dryRun, error }: Run): string[] {
  const of = (name: string): number => counts[name] ?? 0
  const by = `run ${id} (${state})`
  const wrong: string[] = []
  if (!['succeeded', 'partial', 'failed', 'cancelled'].includes(state)) wrong.push(`${by} did not end`)
  if (state !== 'succeeded' && state !== 'partial') return wrong
  if (error) wrong.push(`${by} has an error: ${error.code}`)
  if (dryRun) return wrong
  if (of('inDoubt') > 0) wrong.push(`${by} has ${of('inDoubt')} records in doubt`)
  if ((state === 'succeeded') !== (of('owed') === 0)) wrong.push(`${by} owes ${of('owed')}`)
  const planned = of('added') + of('changed') + of('removed')
  const done = of('delivered') + of('skipped') + of('rejected')
  // Nothing is planned by a run that adopts, and the chaos never does.
  if (planned !== done) wrong.push(`${by} planned ${planned} and ended with ${done}`)
  return wrong
}

function quiet({ last, books }: Evidence): string[] {
  const of = (name: string): number => last.counts[name] ?? 0
  const moved = of('added') + of('changed') + of('removed') + of('invalid')
  return [
    ...(last.state === 'succeeded' ? [] : [`the last run ended ${last.state}: ${JSON.stringify(last.error)}, owed ${of('owed')}`]),
    ...(moved === 0 ? [] : [`the last run still found ${moved} to do`]),
    ...Object.entries(books).flatMap(([table, rows]) => (rows > 0 ? [`${table} still has ${rows} rows`] : [])),
  ]
}
