import { Liquid, type Template } from 'liquidjs'
import type { CanonicalText, Column } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'

/**
 * Liquid templates over the columns of one row. `{{ column }}` alone is a field access (2-3M rows/s against 116k rendered);
 * anything else is parsed once and rendered synchronously. Bounded, so that a template cannot hold up a worker.
 */
const engine = new Liquid({
  strictVariables: false,
  strictFilters: true,
  parseLimit: 100_000,
  renderLimit: 200,
  memoryLimit: 10_000_000,
  ownPropertyOnly: true,
  templates: {},
})
// They read files of the worker: no business of a mapping.
delete engine.tags['include']
delete engine.tags['render']
delete engine.tags['layout']
delete engine.tags['block']

const PLAIN = /^\s*\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}\s*$/

/** The column of a template that is nothing but that column. */
export function plainColumn(template: string): string | null {
  return PLAIN.exec(template)?.[1] ?? null
}

/** Parses; throws liquidjs' error, which names line and column. */
export function parseTemplate(template: string): Template[] {
  return engine.parse(template)
}

/** Names of the columns that a template reads. Throws `config` if it does not parse. */
export function templateColumns(template: string): string[] {
  try {
    return [...new Set(engine.globalVariableSegmentsSync(parseTemplate(template)).map((path) => String(path[0])))]
  } catch (cause) {
    throw new ConnectorError('config', `a template does not parse: ${cause instanceof Error ? cause.message : 'unknown error'}`, { cause })
  }
}

/** Why a row's text could not be rendered; no value in it. */
export interface RenderFailure {
  readonly invalid: string
}

/** A function from a row to the rendered text; an empty result counts as NULL. Throws liquidjs' error if the template does not parse. */
export function compileTemplate(
  template: string,
  columns: readonly Column[],
): (row: readonly CanonicalText[]) => CanonicalText | RenderFailure {
  const parsed = parseTemplate(template)
  const used = new Set(templateColumns(template))
  const inputs = columns.flatMap((column, index) => (used.has(column.name) ? [{ column, index }] : []))
  return (row) => {
    try {
      const scope: Record<string, unknown> = {}
      for (const { column, index } of inputs) scope[column.name] = liquidValue(column, row[index] ?? null)
      const text = String(engine.renderSync(parsed, scope))
      return text === '' ? null : text
    } catch (error) {
      // Messages of filters and of JSON.parse hold values.
      const limit = error instanceof Error && error.message.includes('limit exceeded')
      return { invalid: limit ? 'the template takes too long or too much memory for this row' : 'the template fails for this row' }
    }
  }
}

/** Numbers stay text, so that they keep their digits; booleans and JSON become what conditions and paths expect. */
function liquidValue(column: Column, text: CanonicalText): unknown {
  if (text === null) return null
  if (column.kind === 'boolean') return text === 'true'
  if (column.kind === 'json' || column.kind === 'array') return JSON.parse(text)
  return text
}
