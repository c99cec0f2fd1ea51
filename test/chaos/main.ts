/** `npm run chaos -- --seed N --minutes M [--destination D]`, or `--replay FILE` of a journal: prints the journal, exits 1 if a promise was broken. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '../../server/embedded/postgres.ts'
import { CRASH_DESTINATIONS } from '../crash/destinations.ts'
import { parseJournal, type Entry } from './journal.ts'
import { passed } from './judge.ts'
import { recordChaos } from './proof.ts'
import { destinationOf, runChaos } from './run-chaos.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { seed: text, minutes: text, destination: text, replay: text } })
const tell = (entry: Entry): void => void process.stdout.write(`${JSON.stringify(entry)}\n`)

const folder = await mkdtemp(join(tmpdir(), 'tailrace-chaos-'))
const warehouse = await startEmbeddedPostgres({ dataDir: join(folder, 'warehouse'), log: () => {} })
process.env['TAILRACE_TEST_PG'] = warehouse.url
try {
  for (const options of await wanted()) {
    const { findings, counts } = await runChaos({ ...options, tell })
    if (!passed(findings)) process.exitCode = 1
    if (options.replay === undefined) recordChaos(options, findings, counts)
  }
} finally {
  await warehouse.stop()
  await rm(folder, { recursive: true, force: true })
}

async function wanted(): Promise<{ seed: number; seconds: number; destination: string; replay?: readonly Entry[] }[]> {
  if (values.replay !== undefined) {
    const replay = parseJournal(await readFile(values.replay, 'utf8'))
    const header = replay.flatMap((entry) => ('chaos' in entry ? [entry.chaos] : []))[0]
    if (!header) throw new Error(`${values.replay} is no journal: its first line names seed, seconds and destination`)
    return [{ ...header, replay }]
  }
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
  const seconds = Number(values.minutes ?? 2) * 60
  if (!Number.isInteger(seed) || !(seconds > 0)) throw new Error('--seed is a whole number, --minutes a number above 0')
  const slugs = values.destination === undefined ? CRASH_DESTINATIONS.map(({ slug }) => slug) : [destinationOf(values.destination).slug]
  return slugs.map((destination) => ({ seed, seconds, destination }))
}
