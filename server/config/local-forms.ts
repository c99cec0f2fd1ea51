import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Issue } from './finding.ts'
import { didYouMean, nearestNames } from './nearest.ts'

/** Manifests that were read already, by path: they are large, and many models share one. */
export type Manifests = Map<string, Promise<unknown>>

interface Resolved {
  readonly document: unknown
  readonly issues: readonly Issue[]
}

/** Stands for what could not be read, so that its absence is not told a second time. */
const UNREADABLE = 'unreadable'

/**
 * Replaces what only the machine with the files can know: a model's `sqlFile` by `sql`, its `dbt` by `table`. Other documents are
 * given back as they are. `file` is the document's own; paths are relative to its folder.
 */
export async function resolveLocalForms(document: unknown, file: string, manifests: Manifests): Promise<Resolved> {
  if (!isRecord(document) || document['kind'] !== 'Model') return { document, issues: [] }
  const { sqlFile, dbt, ...rest } = document
  if (sqlFile === undefined && dbt === undefined) return { document, issues: [] }
  const given = ['sql', 'sqlFile', 'table', 'dbt'].filter((key) => document[key] !== undefined)
  if (given.length > 1) {
    const message = `has ${given.map((key) => `"${key}"`).join(' and ')}; only one of them is allowed`
    return { document: { ...rest, sql: UNREADABLE, table: undefined }, issues: [{ pointer: `/${given.at(-1) ?? ''}`, message }] }
  }
  const found = sqlFile === undefined ? await resolveDbt(dbt, file, manifests) : await readSqlFile(sqlFile, file)
  const content = found.text ?? UNREADABLE
  return { document: sqlFile === undefined ? { ...rest, table: content } : { ...rest, sql: content }, issues: found.issues }
}

interface Text {
  readonly text: string | null
  readonly issues: readonly Issue[]
}

async function readSqlFile(sqlFile: unknown, file: string): Promise<Text> {
  const wrong = (message: string): Text => ({ text: null, issues: [{ pointer: '/sqlFile', message }] })
  if (typeof sqlFile !== 'string') return wrong('must be the path of a file')
  try {
    const text = (await readFile(resolve(dirname(file), sqlFile), 'utf8')).trim()
    return text === '' ? wrong(`the file ${sqlFile} is empty`) : { text, issues: [] }
  } catch (error) {
    return wrong(`the file ${sqlFile} cannot be read beside this one (${codeOf(error)})`)
  }
}

async function resolveDbt(dbt: unknown, file: string, manifests: Manifests): Promise<Text> {
  const wrong = (message: string, pointer = '/dbt'): Text => ({ text: null, issues: [{ pointer, message }] })
  if (!isRecord(dbt) || typeof dbt['manifest'] !== 'string' || typeof dbt['model'] !== 'string') {
    return wrong('must be a mapping with the texts "manifest" and "model"')
  }
  const unknown = Object.keys(dbt).find((key) => key !== 'manifest' && key !== 'model')
  if (unknown !== undefined) return wrong(`unknown key "${unknown}"${didYouMean(unknown, ['manifest', 'model'])}`, `/dbt/${unknown}`)
  const path = resolve(dirname(file), dbt['manifest'])
  const reading = manifests.get(path) ?? readFile(path, 'utf8').then((text): unknown => JSON.parse(text))
  manifests.set(path, reading)
  try {
    const relation = relationOf(await reading, dbt['model'])
    return 'wrong' in relation ? wrong(relation.wrong, '/dbt/model') : { text: relation.table, issues: [] }
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : codeOf(error)
    return wrong(`the manifest ${dbt['manifest']} cannot be read (${why}); \`dbt compile\` writes it`, '/dbt/manifest')
  }
}

interface DbtModel extends Record<string, unknown> {
  readonly id: string
}

/** The relation that a dbt model builds. `wanted` is its name, or its unique id where packages share a name. */
function relationOf(manifest: unknown, wanted: string): { readonly table: string } | { readonly wrong: string } {
  const nodes = isRecord(manifest) && isRecord(manifest['nodes']) ? Object.entries(manifest['nodes']) : []
  const models = nodes.flatMap(([id, node]): DbtModel[] => (isRecord(node) && node['resource_type'] === 'model' ? [{ ...node, id }] : []))
  const found = models.filter((model) => model['name'] === wanted || model.id === wanted)
  const [model] = found
  if (model === undefined) {
    const names = models.map((known) => String(known['name']))
    return {
      wrong: `the manifest has no model "${wanted}"; ${names.length === 0 ? 'it has none at all' : `there are ${nearestNames(wanted, names)}`}`,
    }
  }
  if (found.length > 1)
    return { wrong: `the manifest has several models "${wanted}": name one by its id, ${found.map(({ id }) => id).join(' or ')}` }
  if (typeof model['relation_name'] === 'string') return { table: model['relation_name'] }
  const config = isRecord(model['config']) ? model['config'] : {}
  if (config['materialized'] === 'ephemeral')
    return { wrong: `the model "${wanted}" is ephemeral: dbt builds no relation that could be read` }
  const parts = [model['database'], model['schema'], model['alias'] ?? model['name']].filter(
    (part) => typeof part === 'string' && part !== '',
  )
  return { table: parts.map((part) => `"${String(part).replaceAll('"', '""')}"`).join('.') }
}

function codeOf(error: unknown): string {
  return isRecord(error) && typeof error['code'] === 'string' ? error['code'] : 'unreadable'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
