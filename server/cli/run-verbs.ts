import { InvalidArgumentError, Option, type Command } from 'commander'
import type { RunCommandOptions } from './run-command.ts'
import type { ListOptions } from './run-inspect.ts'

const STEER = {
  cancel: 'end a run; requests in flight end and are settled',
  pause: 'stop delivering until it is resumed',
  resume: 'go on delivering',
  approve: 'let a run that waits for approval deliver its plan',
  reject: 'end a run that waits for approval; nothing of it is sent',
} as const

/** The verbs that operate runs and look into them, through the API. Their modules are imported when one of them runs. */
export function registerRunVerbs(program: Command): void {
  const json = ['--json', 'print the result as JSON'] as const
  const list = (command: Command): Command =>
    command
      .option('--limit <n>', 'how many', positive, 100)
      .option('--cursor <next>', 'go on after an earlier answer')
      .option(...json)

  program
    .command('run')
    .description(
      'start a run; exits 0 when it is accepted, with --wait 0 succeeded, 2 partial, 1 failed or cancelled, 3 waits for approval',
    )
    .argument('<sync>')
    .option('--wait', 'until it has ended or waits for approval')
    .addOption(new Option('--timeout <seconds>', 'wait no longer; the run goes on').argParser(positive))
    .option('--full', 'plan every row as changed')
    .option('--verify', 'read every record back and send what differs')
    .option('--dry-run', 'plan only: send nothing, move nothing')
    .option('--adopt', 'the destination has these records already: take the model as sent')
    .addOption(new Option('--on-conflict <how>', 'when a run is active').choices(['reject', 'join', 'queue']))
    .option(...json)
    .action(async (sync: string, options: RunCommandOptions) => {
      const { runCommand } = await import('./run-command.ts')
      process.exitCode = await runCommand(sync, options, process.env)
    })
  list(
    program.command('runs').description('list runs, newest first').argument('[sync]').option('--state <state>', 'only runs in this state'),
  ).action(async (sync: string | undefined, options: ListOptions & { state?: string }) =>
    (await inspect()).listRuns(sync, options, process.env),
  )
  for (const [verb, description] of Object.entries(STEER)) {
    program
      .command(verb)
      .description(description)
      .argument('<run>')
      .option(...json)
      .action(async (run: string, options: { json?: true }) => (await inspect()).steerRun(verb, run, options, process.env))
  }
  list(
    program
      .command('changes')
      .description('the planned records of a run and what became of them')
      .argument('<run>')
      .addOption(new Option('--op <op>').choices(['added', 'changed', 'removed']))
      .addOption(new Option('--outcome <outcome>').choices(['planned', 'delivered', 'skipped', 'rejected', 'invalid', 'in_doubt']))
      .option('--key <key>', 'one record: its key, or a JSON array for a composite key'),
  ).action(async (run: string, options: ListOptions & { op?: string; outcome?: string; key?: string }) =>
    (await inspect()).listChanges(run, options, process.env),
  )
  list(program.command('rejections').description('records that are not as the model wants them').argument('<sync>')).action(
    async (sync: string, options: ListOptions) => (await inspect()).listRejections(sync, options, process.env),
  )
  program
    .command('retry')
    .description('make rejected records due in the next run: all, or one')
    .argument('<sync>')
    .option('--key <key>', 'one record: its key, or a JSON array for a composite key')
    .option(...json)
    .action(async (sync: string, options: { key?: string; json?: true }) => (await inspect()).retry(sync, options, process.env))
  program
    .command('record')
    .description('what happened to one record')
    .argument('<sync>')
    .argument('<key>', 'its key, or a JSON array for a composite key')
    .option(...json)
    .action(async (sync: string, key: string, options: { json?: true }) => (await inspect()).showRecord(sync, key, options, process.env))
  program
    .command('preview')
    .description('the first changes that a run would send; sends nothing')
    .argument('<sync>')
    .option('--limit <n>', 'how many', positive, 10)
    .option(...json)
    .action(async (sync: string, options: { limit: number; json?: true }) => (await inspect()).preview(sync, options, process.env))
  program
    .command('doctor')
    .description('check database, Temporal, every source and destination; exits 1 when something is wrong')
    .option(...json)
    .action(async (options: { json?: true }) => {
      process.exitCode = await (await inspect()).doctor(options, process.env)
    })
}

const inspect = () => import('./run-inspect.ts')

function positive(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value > 0) return value
  throw new InvalidArgumentError('It must be a whole number above 0.')
}
