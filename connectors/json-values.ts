import { parse as parseExactly } from 'lossless-json'
import type { FieldEncoder, ValueKind } from './contract.ts'

/**
 * The encoder of one kind of value for destinations that take any JSON: integers, decimals and floats as JSON numbers with all
 * their digits (`numbers: 'text'`: as strings with the same digits, inside arrays too; inside json columns numbers stay as they
 * are), booleans as booleans, json and arrays as JSON, everything else as a string. NaN, infinities (of timestamps and dates
 * too) and text that is not what its kind says are invalid. The JSON text holds no line break, so it may stand in a record line.
 */
export function jsonEncoder(kind: ValueKind, numbers: 'json' | 'text' = 'json'): FieldEncoder {
  switch (kind) {
    case 'integer':
    case 'decimal':
    case 'float':
      return numbers === 'json' ? encodeNumber : (text) => quoted(encodeNumber(text))
    case 'boolean':
      return encodeBoolean
    case 'timestamptz':
    case 'timestamp':
    case 'date':
      return encodeInstant
    case 'json':
      return encodeJson
    case 'array':
      return numbers === 'json' ? encodeJson : encodeArrayWithoutNumbers
    case 'text':
    case 'bytes':
    case 'other':
      return (text) => ({ json: JSON.stringify(text) })
  }
}

type Encoded = ReturnType<FieldEncoder>

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
/** What warehouses print besides: a plus sign, leading zeros, a bare point. */
const LOOSE_NUMBER = /^([+-]?)(?=\.?\d)0*(\d*)(?:\.(\d*))?([eE][+-]?\d+)?$/
const NOT_FINITE = /^[+-]?(nan|inf(inity)?)$/i

function encodeNumber(text: string): Encoded {
  if (JSON_NUMBER.test(text)) return { json: text }
  if (NOT_FINITE.test(text)) return { invalid: 'NaN and infinities have no JSON number', code: 'not_finite' }
  const match = LOOSE_NUMBER.exec(text)
  if (match === null) return { invalid: 'the value is not a number', code: 'not_a_number' }
  const [, sign, whole, fraction, exponent] = match
  return { json: `${sign === '-' ? '-' : ''}${whole || '0'}${fraction ? `.${fraction}` : ''}${exponent ?? ''}` }
}

function quoted(encoded: Encoded): Encoded {
  return 'json' in encoded ? { json: `"${encoded.json}"` } : encoded
}

function encodeBoolean(text: string): Encoded {
  return text === 'true' || text === 'false' ? { json: text } : { invalid: 'the value is not a boolean', code: 'not_a_boolean' }
}

function encodeInstant(text: string): Encoded {
  if (NOT_FINITE.test(text)) return { invalid: 'an infinite point in time has no JSON value', code: 'not_finite' }
  return { json: JSON.stringify(text) }
}

const NOT_JSON: Encoded = { invalid: 'the value is not JSON', code: 'not_json' }

/** The text itself, not a re-print: digits and key order stay. Raw line breaks can only stand between tokens of valid JSON. */
function encodeJson(text: string): Encoded {
  try {
    JSON.parse(text)
  } catch {
    return NOT_JSON
  }
  return { json: text.replace(/[\r\n]+/g, ' ') }
}

function encodeArrayWithoutNumbers(text: string): Encoded {
  try {
    return { json: JSON.stringify(parseExactly(text, undefined, (digits) => digits)) }
  } catch {
    return NOT_JSON
  }
}
