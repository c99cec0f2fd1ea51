import { checkTogether, placed, type DocumentProblem } from '../config/documents.ts'
import type { Environment } from '../environment.ts'
import { apiClient } from './api-client.ts'
import { asking, count, loadConfiguration, locate, problemLine, refuseProblems } from './configuration.ts'
import { dbtModelsOf, dbtText } from './dbt-models.ts'
import { warningsOf } from './plan-answer.ts'

/** `tailrace validate`: needs the files only; with `connect` the API and a worker as well. */
export async function runValidate(
  path: string,
  options: { readonly connect?: boolean; readonly json?: boolean },
  env: Environment,
): Promise<void> {
  const json = options.json ?? false
  const configuration = await loadConfiguration(path)
  const { documents } = configuration
  const together = options.connect === true && configuration.problems.length === 0 ? [] : checkTogether(configuration)
  const placedOf = (level: string): DocumentProblem[] =>
    together.filter((finding) => finding.level === level).map((finding) => placed(finding, documents))
  const warnings = placedOf('warning')
  refuseProblems([...configuration.problems, ...placedOf('error')], warnings, json)
  if (options.connect === true) {
    const body = { documents: documents.map(({ value }) => value), connect: true }
    const answer = await asking(documents, json, () => apiClient(env).post('/v1/config/validate', body))
    warnings.push(...locate(warningsOf(answer), documents))
  }
  const dbt = dbtModelsOf(documents)
  if (json) {
    process.stdout.write(`${JSON.stringify({ valid: true, documents: documents.length, problems: [], warnings, dbt }, null, 2)}\n`)
  } else {
    for (const model of dbt) process.stdout.write(dbtText(model))
    for (const warning of warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`)
  }
  process.stderr.write(
    `${count(documents.length, 'document')} in ${path}: valid${options.connect === true ? ', sources and destinations asked' : ''}.\n`,
  )
}
