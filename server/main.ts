#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { registerConfigVerbs } from './cli/config-verbs.ts'
import { CliError, EXIT } from './cli/exit.ts'
import { registerRunVerbs } from './cli/run-verbs.ts'
import { endWithNpm } from './end-with-npm.ts'
import { VERSION } from './version.ts'

// The verbs' modules are imported when their verb runs: `--help` must answer at once, and the CLI needs no Temporal SDK.

const program = new Command('tailrace')
  .description('Carries rows from the warehouse to the tools that people work in.')
  .version(VERSION, '-V, --version')
  .showHelpAfterError('(add --help for usage)')
  .exitOverride()

program
  .command('dev')
  .description('run everything on this machine: state database, Temporal with its web UI, API and one worker')
  .option('--config <dir>', 'apply this directory once all is up')
  .option('--data-dir <dir>', 'where state lives', '.tailrace')
  .option('--port <n>', 'port of the API (default: TAILRACE_PORT or 8080)', portNumber)
  .option('--temporal-port <n>', 'port of the Temporal dev server (default: 7233 or a free one)', portNumber)
  .option('--ui-port <n>', 'port of the Temporal web UI (default: 8233 or a free one)', portNumber)
  .action(async (options: { config?: string; dataDir: string; port?: number; temporalPort?: number; uiPort?: number }) => {
    const { runDev } = await import('./dev.ts')
    await runDev(options, process.env)
  })

program
  .command('api')
  .description('serve the HTTP API; configured by the environment')
  .action(async () => {
    endWithParent()
    const [{ apiSettings }, { runApi }] = await Promise.all([import('./settings.ts'), import('./api/main.ts')])
    await runApi(apiSettings(process.env))
  })

program
  .command('worker')
  .description('run syncs; configured by the environment')
  .action(async () => {
    endWithParent()
    const [{ workerSettings }, { runWorker }] = await Promise.all([import('./settings.ts'), import('./worker.ts')])
    await runWorker(workerSettings(process.env))
  })

program
  .command('migrate')
  .description("bring the state database's schema and Temporal's search attributes up to this version; idempotent")
  .action(async () => {
    const [{ workerSettings }, { runMigrate }] = await Promise.all([import('./settings.ts'), import('./migrate.ts')])
    const applied = await runMigrate(workerSettings(process.env))
    process.stderr.write(applied.length === 0 ? 'The schema is up to date.\n' : `Applied ${applied.join(', ')}.\n`)
  })

program
  .command('sandbox')
  .description('serve stand-ins of the destinations, with fault injection')
  .option('--port <n>', 'port to listen on', portNumber)
  .action(async (options: { port?: number }) => {
    const { runSandbox } = await import('./sandbox.ts')
    await runSandbox(options)
  })

registerConfigVerbs(program)
registerRunVerbs(program)

endWithNpm(process.env)
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error instanceof CliError) {
    if (error.message !== '') process.stderr.write(`${error.message}\n`)
    return error.exitCode
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return EXIT.failed
}

/** Started by `dev` or `demo`: when the parent is gone, whatever ended it, this process ends as if it had been told to. */
function endWithParent(): void {
  if (!process.connected) return
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.exit(EXIT.failed), 30_000).unref()
  })
  // Listening would keep a process alive that has nothing left to do.
  process.channel?.unref()
}

function portNumber(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN
  if (port >= 0 && port <= 65_535) return port
  throw new InvalidArgumentError('A port is a whole number from 0 (any free port) to 65535.')
}
