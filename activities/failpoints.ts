/**
 * Failpoints: named places where a test ends or freezes this process. Everything that lasts (a commit in the state database, a
 * request to a destination, the start of a workflow) is done through `effect`, so that there is one before and one after each.
 * Off in production: one comparison with null. Only a composition root arms them.
 */

/** What lasts, and where it is done. */
export const EFFECTS = {
  accept: 'a run is accepted, by the API or by a schedule',
  promote: 'a queued run takes the place of the one that ended',
  start: "the run's workflow is started",
  'note-start': "the workflow's id is written into the run",
  activate: "the run becomes the sync's active run and closes what older runs left",
  define: 'the definition that the run goes by is frozen',
  compact: 'the baseline is rewritten as disjoint blocks',
  query: 'the name of the warehouse’s query is written into the run: its tag before it is submitted, its id after',
  stage: 'batches of a plan that is not published yet are written',
  publish: 'the plan is published',
  'copy-advance': "the warehouse's copy of the baseline is brought up to date",
  'keep-hashes': "the warehouse's hashes of rows that came are kept for the next time",
  begin: 'delivery begins: what the plan means for the baseline takes effect',
  adopt: 'an adopted baseline takes the place of the old one',
  'note-state': 'what the run does or waits for is written down for its readers',
  claim: 'a batch is claimed',
  renew: 'the claim is renewed before a further request of the batch',
  request: 'a request of a claimed batch goes to the destination; after: its answer is here and nobody has read it',
  settle: 'outcome and baseline of a batch are settled',
  split: 'a refused batch is replaced by its halves',
  release: 'a claimed batch is given back unsettled',
  pause: 'the account is paused',
  'job-divide': 'batches are divided into bulk jobs',
  'job-open': "the id of the destination's job is written down",
  'job-claim': 'the batches of a bulk job are claimed before its upload',
  'job-uploaded': 'the upload of a bulk job was acknowledged',
  'job-forget': 'a job of the destination whose upload was not acknowledged is aborted and forgotten',
  'job-close': 'a bulk job is about to take effect, or about to be told so once more',
  'job-closed': 'a bulk job was handed over',
  'job-ended': 'a bulk job has ended',
  'job-give-back': 'a bulk job of which nothing took effect gives its batches back',
  'job-settled': 'all batches of a bulk job are settled, or the destination has forgotten it',
  end: 'the run ends and those that follow it are queued',
} as const

/** Places in the middle of something. */
export const MOMENTS = {
  'in-request': 'half of the body of a request has left',
  'in-compaction': 'the old segments are deleted and blocks are written, nothing is committed',
  'before-removals': 'all upserts of the run are settled, nothing is removed yet: in the middle of a rename',
} as const

export type Effect = keyof typeof EFFECTS
export type Failpoint = `before-${Effect}` | `after-${Effect}` | keyof typeof MOMENTS

export const FAILPOINTS: readonly Failpoint[] = [
  ...effectNames().flatMap((name) => [`before-${name}`, `after-${name}`] as const),
  ...(Object.keys(MOMENTS) as (keyof typeof MOMENTS)[]),
]

/** kill: SIGKILL to this process · freeze: SIGSTOP · tell: goes on; every one is told on stderr. */
const ACTIONS = ['kill', 'freeze', 'tell'] as const

export interface Strike {
  readonly at: Failpoint
  readonly action: (typeof ACTIONS)[number]
  /** 1-based; a `tell` without one tells every pass. */
  readonly pass: number | null
}

/** Reads `after-claim=kill@3,before-end=tell`; `*` stands for every failpoint. Throws Error that names the wrong part. */
export function parseFailpoints(text: string): Strike[] {
  return text.split(',').flatMap((part) => {
    const [, name = '', action = '', pass] = /^\s*([a-z*-]+)=([a-z]+)(?:@([1-9]\d*))?\s*$/.exec(part) ?? []
    const known = ACTIONS.find((each) => each === action)
    const places = FAILPOINTS.filter((each) => each === name || name === '*')
    if (known === undefined || places.length === 0)
      throw new Error(
        `"${part.trim()}" is not FAILPOINT=${ACTIONS.join('|')} with an optional @PASS; failpoints are ${FAILPOINTS.join(', ')}`,
      )
    const nth = pass === undefined ? (known === 'tell' ? null : 1) : Number(pass)
    return places.map((at) => ({ at, action: known, pass: nth }))
  })
}

let armed: ((failpoint: Failpoint) => void) | null = null

/**
 * Counts passes from now on, per failpoint, and hands those that strike to `strike`, which acts before it returns. An empty list
 * disarms.
 */
export function armFailpoints(strikes: readonly Strike[], strike: (struck: Strike, pass: number) => void): void {
  const passes = new Map<Failpoint, number>()
  const count = (failpoint: Failpoint): void => {
    const pass = (passes.get(failpoint) ?? 0) + 1
    passes.set(failpoint, pass)
    for (const each of strikes) if (each.at === failpoint && (each.pass ?? pass) === pass) strike(each, pass)
  }
  armed = strikes.length === 0 ? null : count
}

export const failpointsArmed = (): boolean => armed !== null

/** Does what lasts; every such call in activities and server goes through here (test/unit/failpoints.test.ts). */
export function effect<T>(name: Effect, work: () => Promise<T>): Promise<T> {
  return armed === null ? work() : between(name, work)
}

async function between<T>(name: Effect, work: () => Promise<T>): Promise<T> {
  passing(`before-${name}`)
  const result = await work()
  passing(`after-${name}`)
  return result
}

/** Synchronous. */
export function passing(failpoint: Failpoint): void {
  armed?.(failpoint)
}

function effectNames(): Effect[] {
  return Object.keys(EFFECTS) as Effect[]
}
