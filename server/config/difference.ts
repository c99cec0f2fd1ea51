import { isDeepStrictEqual } from 'node:util'
import { escapePointer } from '../../activities/references.ts'
import { isObject } from '../../connectors/json-object.ts'

/** What changes at one place; `before` or `after` is absent where there is nothing. Configuration holds references, no secrets. */
export interface PathChange {
  readonly pointer: string
  readonly before?: unknown
  readonly after?: unknown
}

/** The places where two JSON values differ; lists are compared as a whole. Pure. */
export function differences(before: unknown, after: unknown, pointer = ''): PathChange[] {
  if (isDeepStrictEqual(before, after)) return []
  if (!isObject(before) || !isObject(after)) {
    return [{ pointer, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }]
  }
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return keys.flatMap((key) => differences(own(before, key), own(after, key), `${pointer}/${escapePointer(key)}`))
}

function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined
}
