import { styleText } from 'node:util'
import type { Environment } from '../environment.ts'
import { apiClient } from './api-client.ts'
import { asking, loadConfiguration, locate, problemLine, refuseProblems } from './configuration.ts'
import { EXIT, type ExitCode } from './exit.ts'
import { PlanAnswer } from './plan-answer.ts'
import { readAnswer } from './run-answers.ts'

interface Options {
  readonly prune?: boolean
  readonly json?: boolean
}

/** `tailrace plan`. Gives the exit code: 0 nothing, 2 something would change. */
export async function runPlan(path: string, options: Options, env: Environment): Promise<ExitCode> {
  const answer = await send('plan', path, options, env)
  const { changes } = answer
  if (changes.length > 0) process.stderr.write('Nothing was changed; `tailrace apply` would do this.\n')
  return changes.length === 0 ? EXIT.done : EXIT.differences
}

/** `tailrace apply`. Repeatable. */
export async function runApply(path: string, options: Options, env: Environment): Promise<void> {
  const { changes } = await send('apply', path, options, env)
  if (changes.length > 0) process.stderr.write('Applied.\n')
}

async function send(verb: 'plan' | 'apply', path: string, options: Options, env: Environment): Promise<PlanAnswer> {
  const json = options.json ?? false
  const { documents, problems } = await loadConfiguration(path)
  refuseProblems(problems, [], json)
  const body = { documents: documents.map(({ value }) => value), prune: options.prune ?? false }
  const answer = readAnswer(PlanAnswer, await asking(documents, json, () => apiClient(env).post(`/v1/config/${verb}`, body)))
  const warnings = locate(answer.warnings, documents)
  if (json) process.stdout.write(`${JSON.stringify({ ...answer, warnings }, null, 2)}\n`)
  else {
    process.stdout.write(`${planText(answer, process.stdout.isTTY && !process.env['NO_COLOR']).join('\n')}\n`)
    for (const warning of warnings) process.stderr.write(`warning: ${problemLine(warning)}\n`)
  }
  return answer
}

const SIGNS = { create: ['+', 'green'], update: ['~', 'yellow'], delete: ['-', 'red'] } as const

/** The changes as lines, then their sum. */
function planText({ changes, unchanged, effects }: PlanAnswer, colour: boolean): string[] {
  const lines = changes.flatMap(({ op, kind, name, paths }) => {
    const [sign, shade] = SIGNS[op]
    const head = `${sign} ${kind} ${name}`
    return [colour ? styleText(shade, head) : head, ...paths.flatMap(pathLines)]
  })
  const of = (op: string): number => changes.filter((change) => change.op === op).length
  const sum = `${of('create')} to create, ${of('update')} to update, ${of('delete')} to delete, ${unchanged} unchanged`
  return [...lines, ...effects.map(({ message }) => `! ${message}`), sum]
}

function pathLines({ pointer, before, after }: PlanAnswer['changes'][number]['paths'][number]): string[] {
  const path = pointer.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
  const texts = [before, after].map((value) =>
    value === undefined ? 'not set' : typeof value === 'string' ? value : JSON.stringify(value),
  )
  if (!texts.some((text) => text.includes('\n') || text.length > 80)) return [`    ${path}: ${texts.join(' → ')}`]
  const block = (sign: string, value: unknown, text = ''): string[] =>
    value === undefined ? [] : text.split('\n').map((line) => `      ${sign} ${line}`)
  return [`    ${path}:`, ...block('-', before, texts[0]), ...block('+', after, texts[1])]
}
