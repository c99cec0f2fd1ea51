import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { escapePointer, hasReference } from '../../activities/references.ts'
import { isObject } from '../../connectors/json-object.ts'
import type { Issue } from './finding.ts'
import { didYouMean } from './nearest.ts'

// strict: TypeBox writes unions that ajv's strict mode frowns on. verbose: the sentences need schema and value.
const ajv = new Ajv({ allErrors: true, strict: false, verbose: true })
const compiled = new WeakMap<object, ValidateFunction>()

/** A type guard for the value of a schema; compiled once. */
export function validatorOf<T>(schema: object): ValidateFunction<T> {
  return ajv.compile<T>(schema)
}

export interface ExplainOptions {
  /** Text with a `${…}` reference may stand for any scalar. */
  readonly references?: boolean
  /** Sentences for keys that are not allowed here but make sense elsewhere. */
  readonly unknownKeys?: Readonly<Record<string, string>>
}

/** All that is wrong with a value, as sentences. Values are not quoted: they may be secrets. Of a union only the branch that is meant. */
export function explain(schema: object, value: unknown, options: ExplainOptions = {}, at = ''): Issue[] {
  const validate = compiled.get(schema) ?? ajv.compile(schema)
  compiled.set(schema, validate)
  if (validate(value)) return []
  const issues: Issue[] = []
  for (const error of validate.errors ?? []) {
    if (error.schemaPath.includes('/anyOf/')) continue
    if (options.references === true && typeof error.data === 'string' && hasReference(error.data)) continue
    const pointer = at + error.instancePath
    if (error.keyword === 'anyOf') issues.push(...explainUnion(branchesOf(error.schema), error.data, options, pointer))
    else issues.push(explainOne(error, pointer, options))
  }
  return withoutMeant(issues)
}

/** A key that is missing because it was misspelt is told once, where it was misspelt. */
function withoutMeant(issues: readonly Issue[]): Issue[] {
  const meant = issues.map(({ message }) => /^unknown key .*; did you mean (".*")\?$/.exec(message)?.[1])
  return issues.filter(({ message }) => !meant.some((key) => key !== undefined && message === `${key} is missing`))
}

function explainOne(error: ErrorObject, pointer: string, options: ExplainOptions): Issue {
  const params: Record<string, unknown> = error.params
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params['additionalProperty'])
      const known = Object.keys(recordOf(recordOf(error.parentSchema)['properties']))
      const message = options.unknownKeys?.[key] ?? `unknown key "${key}"${didYouMean(key, known) || `; known are ${known.join(', ')}`}`
      return { pointer: `${pointer}/${escapePointer(key)}`, message }
    }
    case 'required':
      return { pointer, message: `"${String(params['missingProperty'])}" is missing` }
    case 'type':
      return { pointer, message: wrongType([String(params['type'])], error.data) }
    case 'const':
      return { pointer, message: oneOf([params['allowedValue']], error.data) }
    case 'enum':
      return { pointer, message: oneOf(Array.isArray(params['allowedValues']) ? params['allowedValues'] : [], error.data) }
    case 'pattern':
      return {
        pointer,
        message: PATTERNS.find(([sign]) => String(params['pattern']).includes(sign))?.[1] ?? `must match ${String(params['pattern'])}`,
      }
    case 'minLength':
      return { pointer, message: 'must not be empty' }
    case 'minItems':
    case 'minProperties':
      return { pointer, message: `needs at least ${String(params['limit'])} entry` }
    default:
      return { pointer, message: error.message ?? 'is not valid' }
  }
}

/** What the patterns of the resources' schema mean, by a part that only one of them has. */
const PATTERNS: readonly (readonly [string, string])[] = [
  ['{0,62}', 'is not a valid name: lower-case letters, digits and hyphens, 63 at most, the first one a letter or digit'],
  ['(s|m|h|d)', 'must be a duration such as 90s, 15m, 24h or 7d'],
  ['%', 'must be a percentage such as "20%", or a whole number of records'],
]

function explainUnion(branches: readonly Record<string, unknown>[], data: unknown, options: ExplainOptions, pointer: string): Issue[] {
  if (branches.every((branch) => 'const' in branch))
    return [
      {
        pointer,
        message: oneOf(
          branches.map((branch) => branch['const']),
          data,
        ),
      },
    ]
  const fitting = branches.filter((branch) => fitsType(String(branch['type']), data))
  if (fitting.length === 0)
    return [
      {
        pointer,
        message: wrongType(
          branches.map((branch) => String(branch['type'])),
          data,
        ),
      },
    ]
  const [only] = fitting
  if (fitting.length === 1 && only !== undefined) return explain(only, data, options, pointer)
  return explainForms(fitting, recordOf(data), options, pointer)
}

/** Objects that differ by the key each of them requires: `{ every }`, `{ cron }`, `{ after }`. */
function explainForms(
  forms: readonly Record<string, unknown>[],
  data: Record<string, unknown>,
  options: ExplainOptions,
  pointer: string,
): Issue[] {
  const signs = forms.map((form) => (Array.isArray(form['required']) ? String(form['required'][0]) : ''))
  const meant = forms.filter((_, index) => (signs[index] ?? '') in data)
  const [form] = meant
  if (form !== undefined && meant.length === 1) return explain(form, data, options, pointer)
  if (meant.length > 1) {
    const both = signs.filter((sign) => sign in data).map((sign) => `"${sign}"`)
    return [{ pointer, message: `has ${both.join(' and ')}; only one of them is allowed` }]
  }
  const keys = Object.keys(data)
  const typo = keys.map((key) => ({ key, hint: didYouMean(key, signs) })).find(({ hint }) => hint !== '')
  if (typo) return [{ pointer: `${pointer}/${escapePointer(typo.key)}`, message: `unknown key "${typo.key}"${typo.hint}` }]
  return [{ pointer, message: `needs one of the keys ${signs.join(', ')}` }]
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a mapping',
  array: 'a list',
  null: 'null',
}

function wrongType(wanted: readonly string[], data: unknown): string {
  const words = [...new Set(wanted)].map((type) => WORDS[type] ?? type)
  const scalar = typeof data === 'number' || typeof data === 'boolean'
  const quote = scalar && wanted.includes('string') ? '; put it in quotes' : ''
  return `must be ${words.join(' or ')}, but is ${describe(data)}${quote}`
}

function describe(data: unknown): string {
  if (data === null || data === undefined) return 'empty'
  if (Array.isArray(data)) return 'a list'
  if (typeof data === 'boolean') return 'true or false without quotes'
  return WORDS[typeof data] ?? typeof data
}

function oneOf(allowed: readonly unknown[], data: unknown): string {
  const names = allowed.map(String)
  const hint = typeof data === 'string' ? didYouMean(data, names) : ''
  return names.length === 1 ? `must be ${names.join()}` : `must be one of ${names.join(', ')}${hint}`
}

function fitsType(type: string, data: unknown): boolean {
  if (type === 'array') return Array.isArray(data)
  if (type === 'null') return data === null
  if (type === 'object') return typeof data === 'object' && data !== null && !Array.isArray(data)
  return typeof data === (type === 'integer' ? 'number' : type)
}

function branchesOf(schema: unknown): Record<string, unknown>[] {
  return Array.isArray(schema) ? schema.map(recordOf) : []
}

function recordOf(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {}
}
