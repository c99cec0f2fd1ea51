import type { WriteCount } from '../../connectors/sandbox/stand-in.ts'
import type { Run } from '../harness/stack.ts'
import { ask, documentsOf, isOpen, runsOf, sandbox, shown, writeRows, type Ground } from './ground.ts'
import type { Evidence } from './judge.ts'
import type { Config, Schedule } from './schedule.ts'

/** Longer than any wait of a run that nothing disturbs any more. */
const PATIENCE_MS = 180_000

/** Ends the chaos: everything is up and left alone, the rows are right, open runs end, one more run sends what is left. */
export async function bringQuiet(ground: Ground, { repair }: Schedule, config: Config): Promise<void> {
  const { stack, crew } = ground
  await sandbox(stack, 'DELETE', '/faults')
  await crew.calm()
  await writeRows(ground, repair)
  const limit = performance.now() + PATIENCE_MS
  while ((await ask(stack, 'POST', '/v1/config/apply', { documents: documentsOf(ground, config) })).status !== 200)
    await pauseUntil(limit, 'the configuration')
  await allEnded(ground, limit)
  await ask(stack, 'POST', '/v1/syncs/contacts/rejections/retry', {})
}

/** Lets every run end: what waits for a person gets one. */
async function allEnded({ stack }: Ground, limit: number): Promise<void> {
  for (;;) {
    const open = (await runsOf(stack)).filter(isOpen)
    const [oldest] = open.slice(-1)
    if (!oldest && (await runsOf(stack)).length > 0) return
    if (oldest?.state === 'paused') await ask(stack, 'POST', `/v1/runs/${oldest.id}/resume`)
    if (oldest?.state === 'awaiting_approval') await ask(stack, 'POST', `/v1/runs/${oldest.id}/approve`)
    if (oldest) await ask(stack, 'GET', `/v1/runs/${oldest.id}?wait=2`)
    await pauseUntil(limit, `the end of ${JSON.stringify(oldest)}`)
  }
}

async function pauseUntil(limit: number, what: string): Promise<void> {
  if (performance.now() > limit) throw new Error(`never came: ${what}`)
  await new Promise((resolve) => setTimeout(resolve, 250))
}

/** Runs once more, and once again after that, and gathers what the judge has to know. */
export async function gather(ground: Ground, config: Config): Promise<Evidence> {
  const { stack, destination } = ground
  await stack.run('contacts')
  const last = await stack.run('contacts')
  const { rows } = await stack.warehouse.query<{ email: string; name: string }>('select email, name from contacts')
  const { records } = (await sandbox(stack, 'GET', `/records?system=${destination.slug}`)) as {
    records: { fields: Record<string, unknown> }[]
  }
  const report = (await sandbox(stack, 'GET', '/report')) as { systems: Record<string, SystemReport> }
  const system = report.systems[destination.slug]
  if (!system) throw new Error(`the sandbox has no ${destination.slug}`)
  return {
    wanted: new Map(rows.map(({ email, name }) => [email, shown(config, name)])),
    held: new Map(records.map(({ fields }) => destination.stored(fields))),
    writes: system.writes,
    repeated: system.totals.repeated,
    atLeastOnce: destination.atLeastOnce,
    mismatches: (system.findings['mismatches'] as string[] | undefined) ?? [],
    runs: await allRuns(ground),
    last,
    books: await books(
      ground,
      rows.map(({ email }) => email),
    ),
  }
}

interface SystemReport {
  readonly writes: readonly WriteCount[]
  readonly totals: { readonly repeated: number }
  readonly findings: Readonly<Record<string, unknown>>
}

async function allRuns({ stack }: Ground): Promise<Run[]> {
  const runs: Run[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await stack.call(
      'GET',
      `/v1/runs?sync=contacts&limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    runs.push(...(body['data'] as Run[]))
    cursor = (body['next'] as string | null) ?? null
  }
  return runs
}

/** What should be empty when nothing is owed. An old match value, and doubt about it, stay on the books as long as another row of the model has it. */
async function books({ stack }: Ground, emails: readonly string[]): Promise<Record<string, number>> {
  const count = async (sql: string, values: unknown[] = []): Promise<number> => (await stack.state.query(sql, values)).rowCount ?? 0
  return {
    doubt: await count(
      'select from doubt d where not exists (select from stale_match s where s.sync = d.sync and s.key = d.key and s.match = any ($1::text[]))',
      [emails],
    ),
    stale_match: await count('select from stale_match where match <> all ($1::text[])', [emails]),
    rejection: await count('select from rejection'),
    'batch (claimed)': await count(`select from batch where state = 'sending'`),
  }
}
