import { plainDecimal } from '../decimal.ts'
import { dayMs, instantMs } from '../instants.ts'
import { canonicalId } from './ids.ts'
import type { Scalar } from '../matched-records.ts'
import { rowError, type RowError } from './stand-in-answers.ts'
import type { Field } from './stand-in-fields.ts'
import { timestamp } from './stand-in-store.ts'

export type Checked = { readonly value: Scalar } | { readonly error: RowError }

type Rule = (value: string | number | boolean, field: Field) => Checked

/** Checks and normalises one written value as Salesforce does. Null, empty and blank text clear; a checkbox knows no null. */
export function checkValue(field: Field, value: Scalar): Checked {
  if (value === null || (typeof value === 'string' && value.trim() === '')) {
    if (field.type === 'boolean') return wrongType(field, value)
    return field.nillable
      ? { value: null }
      : { error: rowError('REQUIRED_FIELD_MISSING', `Required fields are missing: [${field.name}]`, [field.name]) }
  }
  return (RULES[field.type] ?? text)(value, field)
}

function wrongType({ label, name }: Field, value: Scalar): Checked {
  return { error: rowError('INVALID_TYPE_ON_FIELD_IN_RECORD', `${label}: value not of required type: ${String(value)}`, [name]) }
}

const text: Rule = (value, field) => {
  const trimmed = String(value).trim()
  if (trimmed.length > field.length) {
    const message = `${field.label}: data value too large: ${trimmed} (max length=${field.length})`
    return { error: rowError('STRING_TOO_LONG', message, [field.name]) }
  }
  return { value: trimmed }
}

const number: Rule = (value, field) => {
  const plain = typeof value === 'boolean' ? null : plainDecimal(String(value))
  if (plain === null) return wrongType(field, value)
  const [whole = '', fraction = ''] = plain.split('.')
  if (field.precision > 0 && whole.replace(/^-?0?/, '').length > field.precision - field.scale)
    return {
      error: rowError('NUMBER_OUTSIDE_VALID_RANGE', `${field.label}: value outside of valid range on numeric field: ${plain}`, [
        field.name,
      ]),
    }
  // Digits after the point that have no room are cut off without a word.
  return { value: Number(fraction === '' ? whole : `${whole}.${fraction.slice(0, Math.max(field.scale, 0)) || '0'}`) }
}

const int: Rule = (value, field) => {
  const plain = typeof value === 'boolean' ? null : plainDecimal(String(value))
  if (plain === null || plain.includes('.')) return wrongType(field, value)
  const whole = Number(plain)
  return whole >= -2_147_483_648 && whole <= 2_147_483_647 ? { value: whole } : wrongType(field, value)
}

const boolean: Rule = (value, field) =>
  /^(true|false|1|0)$/i.test(String(value)) ? { value: /^(true|1)$/i.test(String(value)) } : wrongType(field, value)

const date: Rule = (value, field) => {
  const day = String(value).slice(0, 10)
  return dayMs(day) === null || !/^\d{4}-\d{2}-\d{2}(T.*)?$/.test(String(value)) ? wrongType(field, value) : { value: day }
}

const datetime: Rule = (value, field) => {
  const ms = instantMs(String(value))
  return ms === null ? wrongType(field, value) : { value: timestamp(ms) }
}

const time: Rule = (value, field) =>
  /^\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z?$/.test(String(value)) ? { value: String(value) } : wrongType(field, value)

const email: Rule = (value, field) =>
  /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(String(value).trim())
    ? text(value, field)
    : { error: rowError('INVALID_EMAIL_ADDRESS', `${field.label}: invalid email address: ${String(value)}`, [field.name]) }

const option: Rule = (value, field) => {
  const parts = field.type === 'multipicklist' ? String(value).split(';') : [String(value)]
  const wrong = field.restrictedPicklist ? parts.find((part) => !field.picklistValues.some((known) => known.value === part)) : undefined
  if (wrong === undefined) return text(value, field)
  const message = `${field.label}: bad value for restricted picklist field: ${wrong}`
  return { error: rowError('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', message, [field.name]) }
}

const id: Rule = (value, field) => {
  const full = canonicalId(String(value))
  return full === null
    ? { error: rowError('MALFORMED_ID', `${field.label}: id value of incorrect type: ${String(value)}`, [field.name]) }
    : { value: full }
}

const RULES: Readonly<Record<string, Rule>> = {
  int,
  double: number,
  currency: number,
  percent: number,
  boolean,
  date,
  datetime,
  time,
  email,
  picklist: option,
  multipicklist: option,
  reference: id,
  id,
}
