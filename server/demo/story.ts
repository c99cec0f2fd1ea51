import { differences, stepsBetween, wantedOf, withUnchanged, type Wanted } from './agreement.ts'
import { hasEnded, type Asked, type Crm, type Run, type System, type Tally } from './ask.ts'
import { changeWarehouse, REMOVED, withWarehouse, type Broken } from './data.ts'
import { RATES, SYNCS } from './documents.ts'
import { deliveredNote, type Progress } from './progress.ts'
import { NAMES, type DemoResult, type Outcome, type Owed, type Round } from './result.ts'
import { count } from './table.ts'

export interface Stage {
  readonly ask: Asked
  readonly crm: Crm
  readonly warehouseUrl: string
  readonly rows: number
  readonly progress: Progress
}

type Books = Readonly<Record<System, ReadonlyMap<string, Wanted>>>

const NOTHING: Books = { hubspot: new Map(), salesforce: new Map(), webhook: new Map() }

/** The story after everything is up and configured: load, change, load again; each time the destinations are asked what they hold. */
export async function tellStory(stage: Stage): Promise<DemoResult> {
  const { crm, progress, rows, warehouseUrl } = stage
  progress.start('first load', 'starting both runs')
  const firstWanted = await wantedNow(stage)
  const first = await loadBoth(stage, 'first', NOTHING, firstWanted)

  progress.start('changes', 'in the warehouse')
  const broken = await changeWarehouse(warehouseUrl, rows)
  const now = await wantedNow(stage)
  const secondWanted = {
    ...now,
    [crm]: withUnchanged(now[crm], firstWanted[crm], [broken.badEmail, broken.twice]),
    webhook: withUnchanged(now.webhook, firstWanted.webhook, [broken.twice]),
  }
  progress.end(`${count(Math.floor(rows / 100))} rows changed, ${REMOVED} deleted, 3 broken`)

  progress.start('second run', 'starting both runs')
  const second = await loadBoth(stage, 'second', firstWanted, secondWanted)
  return { crm, rows, rate: RATES[crm], outcomes: [...first, ...second], owed: await owedOf(stage, broken) }
}

function wantedNow({ crm, warehouseUrl }: Stage): Promise<Books> {
  return withWarehouse(warehouseUrl, async (db) => ({ ...NOTHING, [crm]: await wantedOf(db, crm), webhook: await wantedOf(db, 'webhook') }))
}

function systemsOf({ crm }: Stage): readonly System[] {
  return [crm, 'webhook']
}

async function loadBoth(stage: Stage, round: Round, before: Books, wanted: Books): Promise<Outcome[]> {
  const { ask, progress } = stage
  const seen = new Map<System, Run>()
  const parts = () => systemsOf(stage).map((each) => ({ name: NAMES[each], ...progressOf(seen.get(each)) }))
  const tell = (system: System, run: Run): void => {
    seen.set(system, run)
    const now = parts()
    progress.update(sum(now.map(({ done }) => done)), sum(now.map(({ total }) => total)), deliveredNote(now))
  }
  const ended = await Promise.all(
    systemsOf(stage).map(async (system) => {
      const earlier = await ask.tally(system)
      return { system, earlier, run: await follow(ask, system, (run) => tell(system, run)) }
    }),
  )
  progress.update(1, 1, 'asking the destinations what they hold')
  const outcomes = await Promise.all(
    ended.map(async ({ system, earlier, run }): Promise<Outcome> => {
      const holds = since(earlier, await ask.tally(system))
      const steps = stepsBetween(before[system], wanted[system])
      const problems = [...disagreements(run, holds, steps), ...differences(wanted[system], await ask.held(system), system)]
      return { round, system, run, holds, problems }
    }),
  )
  progress.end(`${deliveredNote(parts())}, compared`)
  return outcomes
}

/** Starts a run and asks for it until it has ended; a run that waits for a person would wait for ever. */
async function follow(ask: Asked, system: System, tell: (run: Run) => void): Promise<Run> {
  for (let run = await ask.startRun(SYNCS[system]); ; run = await ask.run(run.id)) {
    tell(run)
    if (hasEnded(run)) return run
    if (run.state === 'awaiting_approval') throw new Error(`${run.sync} waits for approval: ${run.waiting?.reason ?? 'no reason given'}`)
  }
}

function progressOf(run: Run | undefined): { done: number; total: number } {
  if (run === undefined) return { done: 0, total: 0 }
  const { added, changed, removed, delivered, skipped, rejected } = run.counts
  return { done: delivered + skipped + rejected, total: added + changed + removed }
}

function since(before: Tally, after: Tally): Tally {
  return {
    records: after.records,
    effective: after.effective - before.effective,
    repeated: after.repeated - before.repeated,
    requests: after.requests - before.requests,
  }
}

/** Each version that was delivered took effect once, and nothing was sent that the warehouse did not ask for. */
function disagreements(run: Run, holds: Tally, steps: number): string[] {
  const { state, counts, error } = run
  return [
    ...(state === 'succeeded' || state === 'partial' ? [] : [`the run ended ${state}: ${error?.message ?? 'no reason given'}`]),
    ...(counts.rejected === 0 ? [] : [`the destination refused ${counts.rejected} records`]),
    ...(counts.delivered === steps ? [] : [`${counts.delivered} were delivered, the warehouse asked for ${steps}`]),
    ...(holds.effective === counts.delivered ? [] : [`${counts.delivered} were delivered, ${holds.effective} writes took effect`]),
    ...(holds.repeated === 0 ? [] : [`${holds.repeated} writes arrived more than once`]),
  ]
}

async function owedOf(stage: Stage, { badEmail }: Broken): Promise<Owed[]> {
  const { ask, warehouseUrl } = stage
  const email = await withWarehouse(warehouseUrl, async (db) => {
    const { rows } = await db.query<{ email: string }>('select email from analytics.customers where id = $1', [badEmail])
    return rows[0]?.email ?? null
  })
  const lists = await Promise.all(
    systemsOf(stage).map(async (system) =>
      (await ask.rejections(SYNCS[system])).map((rejection) => ({
        system,
        rejection,
        email: rejection.key === badEmail ? email : null,
      })),
    ),
  )
  return lists.flatMap((list) => list.sort((a, b) => a.rejection.code.localeCompare(b.rejection.code)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}
