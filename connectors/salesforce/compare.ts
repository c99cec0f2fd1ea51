import type { FieldDescription } from '../contract.ts'
import { plainDecimal } from '../decimal.ts'
import { instantMs } from '../instants.ts'
import { canonicalId } from './ids.ts'

const NUMBERS: ReadonlySet<string> = new Set(['int', 'double', 'currency', 'percent'])

/** Whether a field of this type holds a number: JSON and SOQL write those without quotes. */
export function isNumber(type: string): boolean {
  return NUMBERS.has(type)
}

/**
 * A match value as Salesforce compares it: without case unless the field says otherwise, without spaces around it (they are cut off
 * when it is stored), numbers by value (`42.0` is 42, `9.12260031E8` is 912260031), ids of 15 and 18 characters alike.
 */
export function foldMatch(value: string, field: Pick<FieldDescription, 'type' | 'caseSensitive'> | null): string {
  const text = value.trim()
  if (field === null) return text.toLowerCase()
  if (isNumber(field.type)) return plainDecimal(text) ?? text
  if (field.type === 'id' || field.type === 'reference') return canonicalId(text) ?? text
  return field.caseSensitive === true ? text : text.toLowerCase()
}

/**
 * Whether a stored value already is what was to be written, compared as Salesforce normalises: numbers by value, date-times to the
 * second, ids in either length, texts without spaces around them and with any line ends, several picklist values without order;
 * null and empty are one. `stored` is a value of a query's answer, `wanted` one of a planned record.
 */
export function holdsValue(type: string, stored: unknown, wanted: unknown): boolean {
  const [have, want] = [asText(stored), asText(wanted)]
  if (have === null || want === null) return have === want
  if (have === want) return true
  // A checkbox that was cleared.
  if (type === 'boolean') return (have === '' ? 'false' : have) === (want === '' ? 'false' : want)
  if (have === '' || want === '') return false
  const normal = isNumber(type) ? plainDecimal : NORMAL[type]
  if (normal === undefined) return textOf(have) === textOf(want)
  const [left, right] = [normal(have), normal(want)]
  return left !== null && left === right
}

const NORMAL: Readonly<Record<string, (text: string) => string | null>> = {
  datetime(text) {
    const ms = instantMs(text)
    return ms === null ? null : String(Math.floor(ms / 1_000))
  },
  id: canonicalId,
  reference: canonicalId,
  email: (text) => text.trim().toLowerCase(),
  multipicklist: (text) => [...new Set(text.split(';'))].sort().join(';'),
  // Answers show where the bytes can be fetched, not the bytes.
  base64: () => null,
}

function textOf(text: string): string {
  return text.replace(/\r\n?/g, '\n').trim()
}

/** Null for what is no scalar. */
function asText(value: unknown): string | null {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}
