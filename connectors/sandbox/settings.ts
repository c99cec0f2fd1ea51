import type { Static, TObject } from 'typebox'
import Value from 'typebox/value'
import { firstWrong } from '../checked.ts'

/** A stand-in's settings with the given ones put over them. Throws Error that names the first wrong one. */
export function mergeSettings<T extends TObject>(name: string, schema: T, settings: Static<T>, given: object): Static<T> {
  const merged: unknown = Object.assign({}, settings, given)
  if (Value.Check(schema, merged)) return merged
  throw new Error(`${name}${firstWrong(schema, merged)}; settings are ${Object.keys(schema.properties).join(', ')}`)
}
