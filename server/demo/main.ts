import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { CliError, EXIT } from '../cli/exit.ts'
import { asking, type Crm } from './ask.ts'
import type { Booted } from './boot.ts'
import { FEWEST_ROWS } from './data.ts'
import { demoDocuments, HUBSPOT_PER_TEN_SECONDS } from './documents.ts'
import { renderKept } from './kept.ts'
import { showProgress } from './progress.ts'
import { asJson, type DemoResult } from './result.ts'
import { tellStory } from './story.ts'
import { COLOURS, PLAIN, renderLinks, renderProblems, renderTable } from './table.ts'
import { endWithNpm } from '../end-with-npm.ts'
import { toldToStop } from '../told-to-stop.ts'

/** More would not fit into one answer of the sandbox. */
const MOST_ROWS = 200_000

interface Options {
  readonly destination: Crm
  readonly rows: number
  readonly keep?: true
  readonly json?: true
}

endWithNpm(process.env)
process.exitCode = await main()

async function main(): Promise<number> {
  const told = toldToStop()
  try {
    return await runDemo(parseOptions(), told.signal)
  } catch (error) {
    return report(error, told.signal.aborted)
  } finally {
    told.deaf()
  }
}

function parseOptions(): Options {
  return new Command('npm run demo --')
    .description('The main job on embedded servers: 10,000 customers to the stand-ins of a CRM and of a webhook receiver, twice.')
    .addOption(new Option('--destination <crm>', 'which CRM').choices(['hubspot', 'salesforce']).default('hubspot'))
    .option('--rows <n>', 'customers in the warehouse', rowCount, 10_000)
    .option('--keep', 'leave everything up until Ctrl-C')
    .option('--json', 'print the table as JSON')
    .showHelpAfterError('(add --help for usage)')
    .exitOverride()
    .parse()
    .opts<Options>()
}

async function runDemo(options: Options, signal: AbortSignal): Promise<number> {
  const progress = showProgress(process.stderr)
  const tell = (line: string): void => {
    progress.stop()
    process.stderr.write(`${line}\n`)
  }
  let booted: Booted | null = null
  try {
    progress.start('boot', 'PostgreSQL, Temporal, API, worker, stand-ins')
    // Not before the options are known to be right: it brings the Temporal SDK.
    const { boot } = await import('./boot.ts')
    booted = await boot({ env: process.env, rows: options.rows, usualPorts: options.keep === true, tell, signal })
    const { stack, sandboxUrl } = booted
    const broke = stack.failed.then((reason) => Promise.reject(new CliError(EXIT.failed, `Stopped, because the part ${reason}`)))
    const ask = asking(stack.apiUrl, sandboxUrl, signal)
    const play = async (up: Booted): Promise<DemoResult> => {
      await ask.configureSandbox({ hubspot: { perTenSeconds: HUBSPOT_PER_TEN_SECONDS }, webhook: { secret: up.webhookSecret } })
      await ask.apply(demoDocuments(options.destination, up.warehouseReference, sandboxUrl))
      progress.end('PostgreSQL, Temporal, API, worker, stand-ins; two syncs applied')
      return tellStory({ ask, crm: options.destination, warehouseUrl: up.warehouseUrl, rows: options.rows, progress })
    }
    const result = await Promise.race([play(booted), broke])
    progress.stop()
    print(result, options)
    if (options.keep === true) {
      process.stderr.write(renderKept(booted, result))
      await Promise.race([whenAborted(signal), broke])
    }
    return result.outcomes.every(({ problems }) => problems.length === 0) ? EXIT.done : EXIT.failed
  } finally {
    progress.stop()
    await booted?.stop()
  }
}

function print(result: DemoResult, { json, keep }: Options): void {
  const colours = !process.env['NO_COLOR'] && (process.stdout.isTTY || process.env['FORCE_COLOR'])
  if (json === true) process.stdout.write(`${JSON.stringify(asJson(result), null, 2)}\n`)
  else {
    process.stdout.write(`${renderTable(result, colours ? COLOURS : PLAIN)}\n`)
    process.stdout.write(renderLinks(result.outcomes, keep === true))
  }
  const problems = renderProblems(result.outcomes)
  if (problems !== '') process.stderr.write(`${problems}\n`)
}

function report(error: unknown, wasTold: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  // What fails because it was told to stop needs no words.
  if (wasTold) process.stderr.write('Stopped; nothing is left running.\n')
  else process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return error instanceof CliError && !wasTold ? error.exitCode : EXIT.failed
}

function rowCount(text: string): number {
  const rows = /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (rows >= FEWEST_ROWS && rows <= MOST_ROWS) return rows
  throw new InvalidArgumentError(`It is a whole number from ${FEWEST_ROWS} to ${MOST_ROWS}.`)
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
