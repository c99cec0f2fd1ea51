import { isObject, objectAt, objectsAt, textAt, textsAt, type JsonObject } from '../json-object.ts'

const UPPER_CODE = /^[A-Z][A-Z0-9_]{1,60}$/

/** HubSpot's category of a refusal; null for anything that does not look like a code, so that it can stand in error messages. */
export function categoryOf(envelope: JsonObject | null): string | null {
  const category = textAt(envelope, 'category') ?? textAt(envelope, 'errorType')
  return category !== null && UPPER_CODE.test(category) ? category : null
}

export interface Refusal {
  readonly category: string | null
  /** The most exact code there is: that of the property's rule, else of the inner error, else the category. */
  readonly code: string
  readonly field: string | null
  /** HubSpot's words about it; may hold a row's values. */
  readonly words: string
}

/**
 * The reason inside one error: of a row in a 207, or of a whole call. Property rules come as JSON inside the message:
 * `Property values were not valid: [{"isValid":false,"message":…,"error":"INVALID_EMAIL","name":"email"}]`.
 */
export function readRefusal(envelope: JsonObject | null): Refusal {
  const category = categoryOf(envelope)
  const message = textAt(envelope, 'message') ?? ''
  const rule = firstRule(message)
  const inner = objectsAt(envelope, 'errors')[0] ?? null
  const code = [textAt(rule, 'error'), textAt(inner, 'code'), category].find((text) => text !== null && UPPER_CODE.test(text))
  const field = textAt(rule, 'name') ?? textsAt(objectAt(inner, 'context'), 'propertyName')[0] ?? null
  return { category, code: code ?? 'UNKNOWN', field, words: textAt(rule, 'message') ?? textAt(inner, 'message') ?? message }
}

function firstRule(message: string): JsonObject | null {
  const start = message.indexOf('[{')
  const end = message.lastIndexOf('}]')
  if (start < 0 || end < start) return null
  try {
    const rules: unknown = JSON.parse(message.slice(start, end + 2))
    const first: unknown = Array.isArray(rules) ? rules[0] : null
    return isObject(first) ? first : null
  } catch {
    return null
  }
}
