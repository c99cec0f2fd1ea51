import { plainDecimal } from '../decimal.ts'
import type { RuleError } from './stand-in-answers.ts'

export interface Property {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly fieldType: string
  readonly groupName: string
  readonly description: string
  readonly options: readonly { readonly label: string; readonly value: string; readonly hidden: boolean; readonly displayOrder: number }[]
  readonly hasUniqueValue: boolean
  readonly calculated: boolean
  readonly externalOptions: boolean
  readonly hidden: boolean
  readonly hubspotDefined: boolean
  readonly archived: boolean
  readonly formField: boolean
  readonly modificationMetadata: { readonly archivable: boolean; readonly readOnlyDefinition: boolean; readonly readOnlyValue: boolean }
}

/** Either the value as it is stored, or the broken rule. `current` is what the record holds now ('' for nothing). */
export type Checked = { readonly value: string } | { readonly broken: RuleError }

type Rule = (
  text: string,
  property: Property,
  current: string,
) => { readonly value: string } | { readonly error: string; readonly message: string }

const RULES: Readonly<Record<string, Rule>> = {
  string: (text) => (text.length > 65_536 ? { error: 'MAX_LENGTH', message: 'value is longer than 65536 characters' } : { value: text }),
  phone_number: (text) => ({ value: text }),
  number(text) {
    const plain = plainDecimal(text)
    return plain === null ? { error: 'INVALID_LONG', message: `${text} was not a valid long.` } : { value: plain }
  },
  bool: (text) =>
    /^(true|false)$/i.test(text)
      ? { value: text.toLowerCase() }
      : { error: 'INVALID_OPTION', message: `${text} was not one of the allowed options: [true, false]` },
  date(text) {
    const ms = /^-?\d{6,}$/.test(text) ? Number(text) : /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN
    if (Number.isNaN(ms)) return { error: 'INVALID_DATE', message: `${text} was not a valid date.` }
    return ms % 86_400_000 === 0 ? { value: isoOf(ms).slice(0, 10) } : { error: 'INVALID_DATE', message: `${text} is not at midnight UTC!` }
  },
  datetime(text) {
    const ms = /^-?\d{6,}$/.test(text)
      ? Number(text)
      : /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text)
        ? Date.parse(text)
        : NaN
    return Number.isNaN(ms) ? { error: 'INVALID_DATE', message: `${text} was not a valid date-time.` } : { value: isoOf(ms) }
  },
  enumeration: enumeration,
}

/** Checks and normalises one written value as HubSpot does; '' clears. */
export function checkValue(property: Property | undefined, name: string, text: string, current: string): Checked {
  const broken = (error: string, message: string): Checked => ({ broken: { isValid: false, message, error, name } })
  if (property === undefined || property.archived) return broken('PROPERTY_DOESNT_EXIST', `Property "${name}" does not exist`)
  if (property.calculated) return broken('READ_ONLY_VALUE', `"${name}" is a calculated property; its value cannot be set`)
  if (property.modificationMetadata.readOnlyValue)
    return broken('READ_ONLY_VALUE', `"${name}" is a read only property; its value cannot be set`)
  if (text === '') return { value: '' }
  if (name === 'email')
    return isEmail(text.trim()) ? { value: text.trim().toLowerCase() } : broken('INVALID_EMAIL', `Email address ${text} is invalid`)
  const checked = (RULES[property.type] ?? string)(text, property, current)
  return 'error' in checked ? broken(checked.error, checked.message) : checked
}

const string: Rule = (text) => ({ value: text })

function enumeration(text: string, property: Property, current: string): ReturnType<Rule> {
  const multiple = property.fieldType === 'checkbox'
  const added = multiple && text.startsWith(';')
  const parts = multiple ? (added ? text.slice(1) : text).split(';') : [text]
  const allowed = property.options.map(({ value }) => value)
  const wrong = property.externalOptions ? undefined : parts.find((part) => !allowed.includes(part))
  if (wrong !== undefined)
    return { error: 'INVALID_OPTION', message: `${wrong} was not one of the allowed options: [${allowed.join(', ')}]` }
  if (property.name === 'lifecyclestage' && current !== '' && allowed.indexOf(text) < allowed.indexOf(current)) return { value: current }
  const before = added && current !== '' ? current.split(';') : []
  return { value: [...new Set([...before, ...parts])].join(';') }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** Looser than the connector's own check, so that what the connector lets pass is never refused here for being odd. */
function isEmail(text: string): boolean {
  return /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text)
}
