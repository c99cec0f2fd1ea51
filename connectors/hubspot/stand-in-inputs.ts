import type { JsonObject } from '../json-object.ts'
import { ruleErrors, type InputError, type RuleError } from './stand-in-answers.ts'
import { checkValue } from './stand-in-properties.ts'
import type { ObjectStore, StoredObject } from './stand-in-store.ts'

/** One input of a write, with the record that it means (none: it will be created). */
export interface Prepared {
  readonly input: JsonObject
  readonly record: StoredObject | undefined
  /** The id of the input, folded; null for a create. */
  readonly label: string | null
  readonly properties: Readonly<Record<string, string>>
}

/** A new record needs one of these. */
const ONE_OF: Readonly<Record<string, readonly string[]>> = { contacts: ['email', 'firstname', 'lastname'], companies: ['name', 'domain'] }
/** A new record needs all of these. */
const ALL_OF: Readonly<Record<string, readonly string[]>> = { deals: ['dealname', 'dealstage'], tickets: ['subject', 'hs_pipeline_stage'] }

export function findFor(store: ObjectStore, id: string, idProperty: string | null): StoredObject | undefined {
  return idProperty === null ? store.byId(id) : store.byUnique(idProperty, id)
}

/** Checks one input against properties, unique values and what a new record needs. Changes nothing. */
export function checkInput(
  store: ObjectStore,
  { record, properties }: Prepared,
): { readonly values: Readonly<Record<string, string>> } | { readonly error: InputError } {
  const values: Record<string, string> = {}
  const broken: RuleError[] = []
  for (const [name, text] of Object.entries(properties)) {
    const checked = checkValue(store.properties.get(name), name, text, record?.properties.get(name) ?? '')
    if ('broken' in checked) broken.push(checked.broken)
    else if (store.holder(name, checked.value, record) === undefined) values[name] = checked.value
    else broken.push({ isValid: false, message: `another record already has that value: ${text}`, error: 'CONFLICTING_UNIQUE_VALUE', name })
  }
  if (broken.length > 0) return { error: ruleErrors(broken) }
  return record === undefined && lacks(store, values)
    ? { error: { category: 'VALIDATION_ERROR', message: `Error creating ${store.type}. Some required properties were not set.` } }
    : { values }
}

function lacks(store: ObjectStore, values: Readonly<Record<string, string>>): boolean {
  const has = (name: string): boolean => (values[name] ?? '') !== ''
  return ONE_OF[store.type]?.some(has) === false || [...(ALL_OF[store.type] ?? []), ...store.required].some((name) => !has(name))
}
