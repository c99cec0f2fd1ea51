import {
  byPlace,
  placed,
  PathError,
  readConfiguration,
  type Configuration,
  type DocumentProblem,
  type SourceDocument,
} from '../config/documents.ts'
import type { Finding } from '../config/finding.ts'
import { KINDS } from '../config/shape.ts'
import { ApiError } from './api-client.ts'
import { CliError, EXIT } from './exit.ts'

/** The documents of a folder. Throws CliError 64 for a path that does not exist and 78 where there are none. Problems are left to the caller. */
export async function loadConfiguration(path: string): Promise<Configuration> {
  const configuration = await readConfiguration(path).catch((error: unknown) => {
    if (error instanceof PathError) throw new CliError(EXIT.usage, `${error.message}.`, { cause: error })
    throw error
  })
  if (configuration.documents.length === 0 && configuration.problems.length === 0) {
    throw new CliError(EXIT.configuration, `${path} holds no documents: *.yaml or *.yml files with kind ${KINDS.join(', ')} were expected.`)
  }
  return configuration
}

/** Ends the command with 78 when anything is wrong: every problem on a line of stderr, or as JSON on stdout. */
export function refuseProblems(problems: readonly DocumentProblem[], warnings: readonly DocumentProblem[], json: boolean): void {
  if (problems.length === 0) return
  const sorted = [...problems].sort(byPlace)
  if (json) {
    process.stdout.write(`${JSON.stringify({ valid: false, problems: sorted, warnings }, null, 2)}\n`)
    throw new CliError(EXIT.configuration, '')
  }
  // What the API says of a stored resource stands in no file.
  const files = new Set(sorted.map(({ file }) => file).filter((file) => file !== '')).size
  const sum = `${count(sorted.length, 'problem')}${files === 0 ? '' : ` in ${count(files, 'file')}`}.`
  throw new CliError(EXIT.configuration, [...sorted.map(problemLine), sum].join('\n'))
}

/** `crm.yaml:12:3: Sync customers: match: …` */
export function problemLine({ file, line, column, message }: DocumentProblem): string {
  return file === '' ? message : `${file}:${line}:${column}: ${message}`
}

/** Asks the API about documents; what it finds wrong with them is told by file and line, as what was found here. */
export async function asking<T>(documents: readonly SourceDocument[], json: boolean, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof ApiError) || error.errors.length === 0) throw error
    refuseProblems(locate(error.errors, documents), [], json)
    throw error
  }
}

/** The API's pointers, `/documents/3/match`, as files and lines. */
export function locate(
  errors: readonly { readonly pointer: string; readonly message: string }[],
  documents: readonly SourceDocument[],
): DocumentProblem[] {
  return errors.map(({ pointer, message }) => {
    const match = /^\/documents\/(\d+)(\/.*)?$/.exec(pointer)
    const document = match ? Number(match[1]) : null
    const value = document === null ? undefined : documents[document]?.value
    const finding: Finding = { level: 'error', document, pointer: match?.[2] ?? '', message, ...identity(value) }
    return placed(finding, documents)
  })
}

function identity(value: unknown): Pick<Finding, 'kind' | 'name'> {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('name' in value)) return { kind: null, name: null }
  const { kind, name } = value
  return { kind: KINDS.find((known) => known === kind) ?? null, name: typeof name === 'string' ? name : null }
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
