import type { FieldDescription, FieldEncoder, ValueKind } from '../contract.ts'
import { plainDecimal } from '../decimal.ts'
import { ConnectorError } from '../errors.ts'
import { instantMs } from '../instants.ts'
import { optionTexts } from '../option-list.ts'
import type { SalesforceField } from './object.ts'
import { canonicalId } from './ids.ts'
import { FIRST_DAY, LAST_DAY } from './limits.ts'

/** JSON text that clears a field; a checkbox, which knows no null, is unchecked instead when it is sent (record.ts). */
export const CLEAR = 'null'

type Encoded = ReturnType<FieldEncoder>
type Rule = { readonly kinds: readonly ValueKind[]; readonly encode: (text: string, field: SalesforceField, kind: ValueKind) => Encoded }

const TEXTS: readonly ValueKind[] = ['text', 'other']
const WHOLE: readonly ValueKind[] = ['integer', 'decimal']
const NUMBERS: readonly ValueKind[] = [...TEXTS, ...WHOLE, 'float']
const TIMES: readonly ValueKind[] = [...TEXTS, 'date', 'timestamp', 'timestamptz']
const ALL: readonly ValueKind[] = [...TEXTS, ...WHOLE, 'float', 'boolean', 'timestamptz', 'timestamp', 'date', 'json', 'array', 'bytes']

const TEXT_RULE: Rule = { kinds: ALL, encode: encodeText }
const NUMBER_RULE: Rule = { kinds: NUMBERS, encode: encodeNumber }
const OPTION_RULE: Rule = { kinds: [...TEXTS, ...WHOLE, 'boolean'], encode: encodeOption }
const ID_RULE: Rule = { kinds: TEXTS, encode: encodeId }

/** By the types of describe; any other is text. */
const RULES: Readonly<Record<string, Rule>> = {
  boolean: { kinds: [...TEXTS, 'boolean'], encode: encodeBoolean },
  int: { kinds: NUMBERS, encode: encodeInt },
  double: NUMBER_RULE,
  currency: NUMBER_RULE,
  percent: NUMBER_RULE,
  date: { kinds: TIMES, encode: encodeDate },
  datetime: { kinds: TIMES, encode: encodeDatetime },
  time: { kinds: TEXTS, encode: encodeTime },
  email: { kinds: TEXTS, encode: encodeEmail },
  picklist: OPTION_RULE,
  multipicklist: { kinds: [...OPTION_RULE.kinds, 'array'], encode: encodeOptions },
  reference: ID_RULE,
  id: ID_RULE,
  base64: { kinds: ['bytes'], encode: (text) => ({ json: JSON.stringify(text) }) },
}

/**
 * Encoder for one field: JSON text or the reason why the field cannot hold the value, in which no value appears. Empty text clears
 * the field, as Salesforce keeps no empty strings. Throws `config` for a kind of column that can never fit.
 */
export function fieldEncoder(field: FieldDescription, kind: ValueKind): FieldEncoder {
  const known = asSalesforce(field)
  const rule = RULES[known.type] ?? TEXT_RULE
  if (!rule.kinds.includes(kind)) {
    throw new ConnectorError(
      'config',
      `${known.name}: a ${kind} column does not fit a Salesforce field of type ${known.type}; cast it in the model to one of: ${rule.kinds.join(', ')}`,
    )
  }
  return (text) => (text.trim() === '' ? { json: CLEAR } : rule.encode(text, known, kind))
}

/** Descriptions come back from a frozen run definition as plain data; they are ours. Throws `config` for one that is not. */
function asSalesforce(field: FieldDescription): SalesforceField {
  if (!('precision' in field) || !('scale' in field)) throw new ConnectorError('config', `${field.name} was not described by Salesforce`)
  return field as SalesforceField
}

function encodeText(text: string, { maxLength }: SalesforceField): Encoded {
  if (maxLength !== undefined && text.length > maxLength)
    return { invalid: `longer than the ${maxLength} characters of the field`, code: 'STRING_TOO_LONG' }
  return { json: JSON.stringify(text) }
}

function encodeBoolean(text: string): Encoded {
  const lower = text.trim().toLowerCase()
  return lower === 'true' || lower === 'false' ? { json: lower } : { invalid: 'neither true nor false', code: 'INVALID_BOOLEAN' }
}

function encodeInt(text: string): Encoded {
  const plain = plainDecimal(text.trim())
  if (plain === null || plain.includes('.')) return { invalid: 'not a whole number', code: 'INVALID_NUMBER' }
  const value = Number(plain)
  // xsd:int of the API (SOAP guide, primitive data types).
  if (value < -2_147_483_648 || value > 2_147_483_647)
    return { invalid: 'outside the 32 bits of an int field', code: 'NUMBER_OUTSIDE_VALID_RANGE' }
  return { json: plain }
}

/**
 * Numbers are doubles at Salesforce: a text that a double does not keep to the last digit is invalid, and so are digits after the
 * point that the field has no room for, because Salesforce cuts those off without a word (describe, `scale`).
 */
function encodeNumber(text: string, { precision, scale }: SalesforceField): Encoded {
  const plain = plainDecimal(text.trim())
  if (plain === null) return { invalid: 'not a finite number', code: 'INVALID_NUMBER' }
  const [whole = '', fraction = ''] = plain.replace('-', '').split('.')
  if (precision > 0 && fraction.length > scale)
    return {
      invalid: `more than the ${scale} digits after the point that the field keeps; round it in the model`,
      code: 'TOO_MANY_DECIMALS',
    }
  if (precision > 0 && whole.replace(/^0/, '').length > precision - scale)
    return {
      invalid: `more than the ${precision - scale} digits before the point that the field keeps`,
      code: 'NUMBER_OUTSIDE_VALID_RANGE',
    }
  if (plainDecimal(String(Number(plain))) !== plain)
    return { invalid: 'more digits than a number of Salesforce (a double) keeps', code: 'NUMBER_OUTSIDE_VALID_RANGE' }
  return { json: plain }
}

function encodeDate(text: string): Encoded {
  const ms = instantMs(text.trim())
  if (ms === null) return { invalid: 'not a date of the form 2026-01-31', code: 'INVALID_DATE' }
  if (ms % 86_400_000 !== 0 || /\.\d*[1-9]/.test(text))
    return { invalid: 'has a time of day (UTC), which a date field cannot hold', code: 'INVALID_DATE' }
  const day = new Date(ms).toISOString().slice(0, 10)
  return inRange(day) ? { json: JSON.stringify(day) } : OUT_OF_RANGE
}

/** Whole seconds: "full timestamps with a precision of one second" (SOAP guide, primitive data types). */
function encodeDatetime(text: string): Encoded {
  const ms = instantMs(text.trim())
  if (ms === null) return { invalid: 'not a date-time of the form 2026-01-31T23:59:59Z', code: 'INVALID_DATE' }
  const iso = new Date(Math.floor(ms / 1_000) * 1_000).toISOString()
  return inRange(iso.slice(0, 10)) ? { json: JSON.stringify(iso.replace('.000Z', 'Z')) } : OUT_OF_RANGE
}

const OUT_OF_RANGE: Encoded = { invalid: `outside ${FIRST_DAY} to ${LAST_DAY}, which Salesforce can hold`, code: 'INVALID_DATE' }

function inRange(day: string): boolean {
  return day.length === 10 && day >= FIRST_DAY && day <= LAST_DAY
}

function encodeTime(text: string): Encoded {
  const parts = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?Z?$/.exec(text.trim())
  if (parts === null) return { invalid: 'not a time of the form 23:59:59.123', code: 'INVALID_TIME' }
  const [, hour = '', minute = '', second = '00', fraction = ''] = parts
  return { json: JSON.stringify(`${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}Z`) }
}

const EMAIL = /^[^\s@,;:"()<>[\]\\]+@[^\s@.,;:"()<>[\]\\]+(\.[^\s@.,;:"()<>[\]\\]+)+$/

function encodeEmail(text: string, field: SalesforceField): Encoded {
  const trimmed = text.trim()
  return EMAIL.test(trimmed) ? encodeText(trimmed, field) : { invalid: 'not an e-mail address', code: 'INVALID_EMAIL_ADDRESS' }
}

function encodeOption(text: string, field: SalesforceField): Encoded {
  return field.options === undefined || field.options.includes(text) ? encodeText(text, field) : noOption(field)
}

function encodeOptions(text: string, field: SalesforceField, kind: ValueKind): Encoded {
  const parts = kind === 'array' ? optionTexts(text) : text.split(';')
  if (parts === null) return { invalid: 'not a flat array of texts', code: 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST' }
  if (parts.length === 0) return { json: CLEAR }
  if (!parts.every((part) => part !== '' && (field.options === undefined || field.options.includes(part)))) return noOption(field)
  return { json: JSON.stringify(parts.join(';')) }
}

function noOption({ options = [] }: SalesforceField): Encoded {
  const shown = options.slice(0, 10).join(', ')
  return {
    invalid: `not among the values of the restricted picklist (${shown}${options.length > 10 ? ', …' : ''}); Salesforce takes the value's API name`,
    code: 'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST',
  }
}

function encodeId(text: string): Encoded {
  const id = canonicalId(text.trim())
  return id === null ? { invalid: 'not a Salesforce id of 15 or 18 characters', code: 'MALFORMED_ID' } : { json: JSON.stringify(id) }
}
