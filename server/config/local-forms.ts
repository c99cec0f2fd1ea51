import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isObject } from '../../connectors/json-object.ts'
import { findDbtModel, type DbtModel } from './dbt.ts'
import type { Issue } from './finding.ts'
import { didYouMean } from './nearest.ts'

/** Manifests that were read already, by path: they are large, and many models share one. */
export type Manifests = Map<string, Promise<unknown>>

interface Resolved {
  readonly document: unknown
  readonly issues: readonly Issue[]
  /** What the project says of a model that was named by `dbt`. */
  readonly dbt: DbtModel | null
}

/** Stands for what could not be read, so that its absence is not told a second time. */
const UNREADABLE = 'unreadable'

/**
 * Replaces what only the machine with the files can know: a model's `sqlFile` by `sql`, its `dbt` by `table` and `dbtModel`. Other
 * documents are
 * given back as they are. `file` is the document's own; paths are relative to its folder.
 */
export async function resolveLocalForms(document: unknown, file: string, manifests: Manifests): Promise<Resolved> {
  if (!isObject(document) || document['kind'] !== 'Model') return { document, issues: [], dbt: null }
  const { sqlFile, dbt, ...rest } = document
  if (sqlFile === undefined && dbt === undefined) return { document, issues: [], dbt: null }
  const given = ['sql', 'sqlFile', 'table', 'dbt'].filter((key) => document[key] !== undefined)
  if (given.length > 1) {
    const message = `has ${given.map((key) => `"${key}"`).join(' and ')}; only one of them is allowed`
    return { document: { ...rest, sql: UNREADABLE, table: undefined }, issues: [{ pointer: `/${given.at(-1) ?? ''}`, message }], dbt: null }
  }
  if (sqlFile !== undefined) {
    const { text, issues } = await readSqlFile(sqlFile, file)
    return { document: { ...rest, sql: text ?? UNREADABLE }, issues, dbt: null }
  }
  const { model, issues } = await resolveDbt(dbt, file, manifests)
  if (model === null) return { document: { ...rest, table: UNREADABLE }, issues, dbt: null }
  return { document: { ...rest, table: model.relation, dbtModel: model.id }, issues, dbt: model }
}

async function readSqlFile(sqlFile: unknown, file: string): Promise<{ readonly text: string | null; readonly issues: readonly Issue[] }> {
  const wrong = (message: string) => ({ text: null, issues: [{ pointer: '/sqlFile', message }] })
  if (typeof sqlFile !== 'string') return wrong('must be the path of a file')
  try {
    const text = (await readFile(resolve(dirname(file), sqlFile), 'utf8')).trim()
    return text === '' ? wrong(`the file ${sqlFile} is empty`) : { text, issues: [] }
  } catch (error) {
    return wrong(`the file ${sqlFile} cannot be read beside this one (${codeOf(error)})`)
  }
}

interface Found {
  readonly model: DbtModel | null
  readonly issues: readonly Issue[]
}

async function resolveDbt(dbt: unknown, file: string, manifests: Manifests): Promise<Found> {
  const wrong = (message: string, pointer = '/dbt'): Found => ({ model: null, issues: [{ pointer, message }] })
  if (!isObject(dbt) || typeof dbt['manifest'] !== 'string' || typeof dbt['model'] !== 'string') {
    return wrong('must be a mapping with the texts "manifest" and "model"')
  }
  const unknown = Object.keys(dbt).find((key) => key !== 'manifest' && key !== 'model')
  if (unknown !== undefined) return wrong(`unknown key "${unknown}"${didYouMean(unknown, ['manifest', 'model'])}`, `/dbt/${unknown}`)
  const path = resolve(dirname(file), dbt['manifest'])
  const reading = manifests.get(path) ?? readFile(path, 'utf8').then((text): unknown => JSON.parse(text))
  manifests.set(path, reading)
  try {
    const model = findDbtModel(await reading, dbt['model'])
    return 'wrong' in model ? wrong(model.wrong, '/dbt/model') : { model, issues: [] }
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : codeOf(error)
    return wrong(`the manifest ${dbt['manifest']} cannot be read (${why}); \`dbt compile\` writes it`, '/dbt/manifest')
  }
}

function codeOf(error: unknown): string {
  return isObject(error) && typeof error['code'] === 'string' ? error['code'] : 'unreadable'
}
