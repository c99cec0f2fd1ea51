import { Option, type Command } from 'commander'

interface Json {
  readonly json?: true
}

/** Configuration as code: validate, plan, apply, export, schema. Their modules are imported when one of them runs. */
export function registerConfigVerbs(program: Command): void {
  const json = ['--json', 'print the result as JSON'] as const
  program
    .command('validate')
    .description('check the configuration in a folder: shape, references between documents, templates')
    .argument('<dir>', 'folder with *.yaml files, or one file')
    .option('--connect', 'also ask sources and destinations, through the API and a worker')
    .option(...json)
    .action(async (path: string, options: Json & { connect?: true }) => {
      const { runValidate } = await import('./validate.ts')
      await runValidate(path, options, process.env)
    })
  program
    .command('plan')
    .description('print what apply would change; exits 0 when nothing, 2 when something would change')
    .argument('<dir>', 'folder with *.yaml files, or one file')
    .option('--prune', 'also delete what the folder lacks')
    .option(...json)
    .action(async (path: string, options: Json & { prune?: true }) => {
      const { runPlan } = await import('./plan.ts')
      process.exitCode = await runPlan(path, options, process.env)
    })
  program
    .command('apply')
    .description('create and update what the folder says, all or nothing')
    .argument('<dir>', 'folder with *.yaml files, or one file')
    .option('--prune', 'also delete what the folder lacks; records at a destination stay')
    .option(...json)
    .action(async (path: string, options: Json & { prune?: true }) => {
      const { runApply } = await import('./plan.ts')
      await runApply(path, options, process.env)
    })
  program
    .command('export')
    .description('print the configuration that is applied now, as documents')
    .addOption(
      new Option('--format <format>', 'documents, or exposures for a dbt project: one for every sync on a dbt model')
        .choices(['documents', 'dbt-exposures'])
        .default('documents'),
    )
    .option(...json)
    .action(async (options: Json & { format: string }) => {
      const { runExport } = await import('./export.ts')
      await runExport(options, process.env)
    })
  program
    .command('schema')
    .description('print the JSON Schema of the documents, for editors')
    .option(...json)
    .action(async () => {
      const { documentsSchema } = await import('../config/json-schema.ts')
      process.stdout.write(`${JSON.stringify(documentsSchema(), null, 2)}\n`)
    })
}
