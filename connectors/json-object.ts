/** Answers of a JSON API as data that was checked: every field may be missing, and edge failures are HTML. */

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The body as a JSON object; null where it is none (HTML, empty, cut off). */
export function parseObject(text: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : null
  } catch {
    return null
  }
}

export function textAt(object: JsonObject | null, name: string): string | null {
  const value = object?.[name]
  return typeof value === 'string' ? value : null
}

export function objectsAt(object: JsonObject | null, name: string): JsonObject[] {
  const value = object?.[name]
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function textsAt(object: JsonObject | null, name: string): string[] {
  const value = object?.[name]
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

export function objectAt(object: JsonObject | null, name: string): JsonObject | null {
  const value = object?.[name]
  return isObject(value) ? value : null
}
