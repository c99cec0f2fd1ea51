import type { Static, TSchema } from 'typebox'
import Value from 'typebox/value'
import { ConnectorError } from './errors.ts'

/** Resolved configuration of a connector. Throws `config` that names the first wrong field, never its value. */
export function checkedConfig<T extends TSchema>(slug: string, schema: T, given: unknown): Static<T> {
  if (Value.Check(schema, given)) return given
  throw new ConnectorError('config', `${slug} config${firstWrong(schema, given)}`)
}

/** The first place where a value is not as its schema says, and what is wrong there: `.a.b: must be string`. */
export function firstWrong(schema: TSchema, value: unknown): string {
  const first = Value.Errors(schema, value)[0]
  return `${first?.instancePath.replaceAll('/', '.') ?? ''}: ${first?.message ?? 'not valid'}`
}
