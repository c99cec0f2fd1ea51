import { plainDecimal } from '../decimal.ts'
import { EMAIL, MULTIPLE } from './fields.ts'
import { storedDay, storedInstantMs } from '../instants.ts'

/**
 * Whether a stored property already holds what was to be written, compared as HubSpot normalises: numbers by their exact value,
 * date-times as instants (ISO or milliseconds), booleans and e-mail addresses without case, several options without order;
 * missing, null and empty are one. `type` is the field type of `describe`; of an unknown type only equal text is equal.
 */
export function holdsValue(type: string, stored: string | null | undefined, wanted: string): boolean {
  const have = stored ?? ''
  if (have === wanted) return true
  if (have === '' || wanted === '') return false
  const normal = NORMAL[type]
  if (normal === undefined) return false
  const [left, right] = [normal(have), normal(wanted)]
  return left !== null && left === right
}

const NORMAL: Readonly<Record<string, (text: string) => string | null>> = {
  number: plainDecimal,
  bool: (text) => text.toLowerCase(),
  date: storedDay,
  datetime: (text) => storedInstantMs(text)?.toString() ?? null,
  [MULTIPLE]: (text) => [...new Set(text.split(';'))].sort().join(';'),
  [EMAIL]: foldMatch,
}

/**
 * A match value as HubSpot may compare it. E-mail addresses are lower-cased and trimmed by HubSpot; for other unique properties
 * nothing documents whether case counts, so it is ignored for all of them: two rows that perhaps collide are held back and named,
 * while two rows taken for different and written over each other would be lost silently.
 */
export function foldMatch(value: string): string {
  return value.trim().toLowerCase()
}
