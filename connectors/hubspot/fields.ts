import type { FieldDescription, FieldEncoder, ValueKind } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { plainDecimal } from '../decimal.ts'
import { dayMs, instantMs } from '../instants.ts'
import { optionTexts } from '../option-list.ts'
import { MAX_TEXT } from './limits.ts'

/**
 * Field types as `describe` names them: HubSpot's own property types, apart from two that follow other rules than their type says:
 * the e-mail address of contacts, and enumerations that hold several options.
 */
export const EMAIL = 'email'
export const MULTIPLE = 'enumeration[]'

/** JSON text that clears a property: HubSpot clears by the empty string; null is not documented to. */
export const CLEAR = '""'

type Encoded = ReturnType<FieldEncoder>
type Rule = { readonly kinds: readonly ValueKind[]; readonly encode: (text: string, field: FieldDescription, kind: ValueKind) => Encoded }

const TEXTS: readonly ValueKind[] = ['text', 'other']
const WHOLE: readonly ValueKind[] = ['integer', 'decimal']
const ALL: readonly ValueKind[] = [...TEXTS, ...WHOLE, 'float', 'boolean', 'timestamptz', 'timestamp', 'date', 'json', 'array', 'bytes']

const RULES: Readonly<Record<string, Rule>> = {
  number: { kinds: [...TEXTS, ...WHOLE, 'float'], encode: encodeNumber },
  bool: { kinds: [...TEXTS, 'boolean'], encode: encodeBool },
  date: { kinds: [...TEXTS, 'date', 'timestamp', 'timestamptz'], encode: encodeDate },
  datetime: { kinds: [...TEXTS, 'date', 'timestamp', 'timestamptz'], encode: encodeDatetime },
  enumeration: { kinds: [...TEXTS, ...WHOLE, 'boolean'], encode: encodeOption },
  [MULTIPLE]: { kinds: [...TEXTS, ...WHOLE, 'boolean', 'array'], encode: encodeOptions },
  phone_number: { kinds: [...TEXTS, ...WHOLE], encode: encodeText },
  [EMAIL]: { kinds: TEXTS, encode: encodeEmail },
}

const TEXT_RULE: Rule = { kinds: ALL, encode: encodeText }

/**
 * Encoder for one property: JSON text (always a JSON string, as HubSpot takes every value) or the reason why the property cannot
 * hold it, in which no value appears. Empty text clears the property, whatever its type. Throws `config` for a kind of column that
 * can never fit.
 */
export function fieldEncoder(field: FieldDescription, kind: ValueKind): FieldEncoder {
  const rule = RULES[field.type] ?? TEXT_RULE
  if (!rule.kinds.includes(kind)) {
    throw new ConnectorError(
      'config',
      `${field.name}: a ${kind} column does not fit a HubSpot property of type ${field.type}; cast it in the model to one of: ${rule.kinds.join(', ')}`,
    )
  }
  return (text) => (text === '' ? { json: CLEAR } : rule.encode(text, field, kind))
}

function encodeText(text: string, field: FieldDescription): Encoded {
  const max = field.maxLength ?? MAX_TEXT
  if (text.length > max) return { invalid: `longer than the ${max} characters that HubSpot keeps`, code: 'MAX_LENGTH' }
  return { json: JSON.stringify(text) }
}

function encodeNumber(text: string): Encoded {
  const digits = text.trim()
  const plain = /^-?\d+(\.\d+)?$/.test(digits) ? digits : plainDecimal(digits)
  return plain === null ? { invalid: 'not a finite number', code: 'INVALID_NUMBER' } : { json: JSON.stringify(plain) }
}

function encodeBool(text: string): Encoded {
  const lower = text.trim().toLowerCase()
  return lower === 'true' || lower === 'false'
    ? { json: JSON.stringify(lower) }
    : { invalid: 'neither true nor false', code: 'INVALID_BOOLEAN' }
}

function encodeDate(text: string): Encoded {
  const ms = instantMs(text.trim())
  if (ms === null) return { invalid: 'not a date of the form 2026-01-31', code: 'INVALID_DATE' }
  if (ms % 86_400_000 !== 0 || hasFineDigits(text))
    return { invalid: 'has a time of day (UTC), which a date property cannot hold', code: 'INVALID_DATE' }
  const day = new Date(ms).toISOString().slice(0, 10)
  return dayMs(day) === null ? { invalid: 'outside the years 0000 to 9999', code: 'INVALID_DATE' } : { json: JSON.stringify(day) }
}

function encodeDatetime(text: string): Encoded {
  const ms = instantMs(text.trim())
  if (ms === null) return { invalid: 'not a date-time of the form 2026-01-31T23:59:59.123Z', code: 'INVALID_DATE' }
  const iso = new Date(ms).toISOString()
  return iso.length === 24 ? { json: JSON.stringify(iso) } : { invalid: 'outside the years 0000 to 9999', code: 'INVALID_DATE' }
}

/** Whether digits finer than a millisecond say anything: a date property must not lose them silently. */
function hasFineDigits(text: string): boolean {
  return /\.\d*[1-9]/.test(text)
}

function encodeOption(text: string, field: FieldDescription): Encoded {
  return isOption(text, field) ? { json: JSON.stringify(text) } : noOption(field)
}

function encodeOptions(text: string, field: FieldDescription, kind: ValueKind): Encoded {
  const parts = kind === 'array' ? optionTexts(text) : text.split(';')
  if (parts === null) return { invalid: 'not a flat array of texts, numbers or booleans', code: 'INVALID_OPTION' }
  if (kind !== 'array' && text.startsWith(';')) {
    return {
      invalid: 'starts with a semicolon, by which HubSpot would add to the options that are there instead of replacing them',
      code: 'INVALID_OPTION',
    }
  }
  if (!parts.every((part) => isOption(part, field))) return noOption(field)
  return { json: JSON.stringify(parts.join(';')) }
}

function isOption(text: string, field: FieldDescription): boolean {
  return text !== '' && (field.options === undefined || field.options.includes(text))
}

function noOption(field: FieldDescription): Encoded {
  const all = field.options ?? []
  const shown = all.slice(0, 10).join(', ')
  return {
    invalid: `not among the options of the property (${shown}${all.length > 10 ? ', …' : ''}); HubSpot takes the option's value, not its label`,
    code: 'INVALID_OPTION',
  }
}

const LOCAL = /^[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u
const DOMAIN = /^(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}-]{2,63}$/u

function encodeEmail(text: string): Encoded {
  const trimmed = text.trim()
  if (trimmed === '') return { json: CLEAR }
  const at = trimmed.lastIndexOf('@')
  const [local, domain] = [trimmed.slice(0, at), trimmed.slice(at + 1)]
  const fits = at > 0 && local.length <= 64 && trimmed.length <= 254 && LOCAL.test(local) && DOMAIN.test(domain)
  return fits ? { json: JSON.stringify(trimmed) } : { invalid: 'not an e-mail address', code: 'INVALID_EMAIL' }
}
