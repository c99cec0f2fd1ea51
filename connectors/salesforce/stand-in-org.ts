import type { StoredRecord } from '../sandbox/stand-in.ts'
import { WriteLog } from '../sandbox/write-log.ts'
import { isObject, type JsonObject } from '../json-object.ts'
import type { Scalar } from '../matched-records.ts'
import { rowError, type RowError } from './stand-in-answers.ts'
import type { Field } from './stand-in-fields.ts'
import { OBJECTS } from './stand-in-seed.ts'
import { DEFAULT_SETTINGS, type RowFault, type Settings } from './stand-in-settings.ts'
import { ObjectStore, type StoredObject } from './stand-in-store.ts'
import { checkValue } from './stand-in-values.ts'

/** What became of one record: how Collections and Bulk tell it is theirs. */
export type Saved =
  | { readonly success: true; readonly id: string; readonly created: boolean }
  | { readonly success: false; readonly errors: readonly RowError[] }

type Values = ReadonlyMap<string, Scalar>

/** What the headers of a call say. Bulk jobs have none of them. */
export interface Rules {
  /** Assignment rules run: accounts and leads go to the default owner. */
  readonly assign: boolean
  /** Alerts of duplicate rules do not refuse. */
  readonly allowSave: boolean
}

const NO_RULES: Rules = { assign: false, allowSave: false }

/** Owner by the org's assignment rules. */
export const DEFAULT_OWNER_ID = '005000000000002AAA'
const ASSIGNED: ReadonlySet<string> = new Set(['Account', 'Lead'])

/** One Salesforce org in memory: its objects, their records, and the log of what was written. */
export class Org {
  readonly now: () => number
  readonly log = new WriteLog()
  readonly #stores: ReadonlyMap<string, ObjectStore>
  settings: Settings = DEFAULT_SETTINGS
  /** Accepted writes that found every value there already. */
  unchanged = 0
  refusedRecords = 0
  readonly #struck = new Map<RowFault, number>()

  constructor(now: () => number) {
    this.now = now
    this.#stores = new Map(OBJECTS.map((seed) => [seed.name.toLowerCase(), new ObjectStore(seed)]))
  }

  stores(): readonly ObjectStore[] {
    return [...this.#stores.values()]
  }

  /** Object names count without case. */
  store(name: string): ObjectStore | undefined {
    return this.#stores.get(name.toLowerCase())
  }

  storeOf(id: string): ObjectStore | undefined {
    return this.stores().find((store) => id.startsWith(store.keyPrefix))
  }

  /** The field if this user may see it; field names count without case. */
  field(store: ObjectStore, name: string): Field | undefined {
    const field = store.fields.get(name) ?? [...store.fields.values()].find((each) => each.name.toLowerCase() === name.toLowerCase())
    return field !== undefined && this.settings.hiddenFields.includes(`${store.name}.${field.name}`) ? undefined : field
  }

  /** Values of an sObject: `attributes` apart, everything by its name; a nested object is a related record's external id. */
  create(store: ObjectStore, input: JsonObject, rules = NO_RULES): Saved {
    return this.#save(store, undefined, input, rules)
  }

  update(store: ObjectStore, id: string, input: JsonObject, rules = NO_RULES): Saved {
    const record = store.byId(id)
    if (record !== undefined) return this.#save(store, record, input, rules)
    return this.#refused([
      store.wasDeleted(id)
        ? rowError('ENTITY_IS_DELETED', 'entity is deleted')
        : rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id'),
    ])
  }

  upsert(store: ObjectStore, external: Field, input: JsonObject, rules = NO_RULES): Saved {
    const value = scalarOf(input[external.name])
    if (value === null || value === '')
      return this.#refused([rowError('MISSING_ARGUMENT', `${external.name} not specified`, [external.name])])
    const found = store.holding(external, value)
    if (found.length > 1) {
      const ids = found.map(({ id }) => id.slice(0, 15)).join(', ')
      const message = `${external.name}: more than one record found for external id field: [${ids}]`
      return this.#refused([rowError('DUPLICATE_EXTERNAL_ID', message, [external.name])])
    }
    return this.#save(store, found[0], input, rules)
  }

  /** To the recycle bin, which nobody looks into here. */
  remove(id: string): Saved {
    const store = this.storeOf(id)
    const record = store?.byId(id)
    if (store === undefined || record === undefined) {
      return this.#refused([
        store?.wasDeleted(id) === true
          ? rowError('ENTITY_IS_DELETED', 'entity is deleted')
          : rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id'),
      ])
    }
    const fault = this.#fault(Object.values(store.shown(record)))
    if (fault !== null) return this.#refused([fault])
    this.log.applied({ object: store.name, key: store.keyOf(record), content: null })
    store.remove(record)
    return { success: true, id: record.id, created: false }
  }

  records(object?: string): StoredRecord[] {
    const stores = object === undefined ? this.stores() : [this.store(object)]
    return stores.flatMap((store) =>
      store === undefined
        ? []
        : [...store.all()].map((record) => ({ object: store.name, key: store.keyOf(record), fields: store.shown(record) })),
    )
  }

  #save(store: ObjectStore, record: StoredObject | undefined, input: JsonObject, { assign, allowSave }: Rules): Saved {
    const fault = this.#fault(Object.values(input))
    if (fault !== null) return this.#refused([fault])
    if (!allowSave && Object.values(input).some((value) => typeof value === 'string' && this.settings.duplicateAlerts.includes(value)))
      return this.#refused([rowError('DUPLICATES_DETECTED', 'Use one of these records?')])
    const checked = this.#check(store, record, input)
    if ('errors' in checked) return this.#refused(checked.errors)
    const saved = record ?? store.create(this.now())
    const changed = store.write(saved, checked.values, this.now())
    if (assign && ASSIGNED.has(store.name)) store.write(saved, new Map([['OwnerId', DEFAULT_OWNER_ID]]), this.now())
    if (!changed && record !== undefined) this.unchanged += 1
    const content = JSON.stringify([...checked.values].sort(([a], [b]) => (a < b ? -1 : 1)))
    this.log.applied({ object: store.name, key: store.keyOf(saved), content })
    return { success: true, id: saved.id, created: record === undefined }
  }

  #check(store: ObjectStore, record: StoredObject | undefined, input: JsonObject): { values: Values } | { errors: RowError[] } {
    const values = new Map<string, Scalar>()
    const errors: RowError[] = []
    const forbidden: string[] = []
    for (const [name, given] of Object.entries(input)) {
      if (name === 'attributes' || name === 'Id' || name === 'id') continue
      const resolved = isObject(given) ? this.#related(store, name, given) : { field: this.field(store, name), value: scalarOf(given) }
      if ('error' in resolved) errors.push(resolved.error)
      else if (resolved.field === undefined)
        errors.push(rowError('INVALID_FIELD', `No such column '${name}' on sobject of type ${store.name}`, [name]))
      else if (!(record === undefined ? resolved.field.createable : resolved.field.updateable)) forbidden.push(resolved.field.name)
      else {
        const checked = checkValue(resolved.field, resolved.value)
        if ('error' in checked) errors.push(checked.error)
        else values.set(resolved.field.name, checked.value)
      }
    }
    if (forbidden.length > 0) {
      const verb = record === undefined ? 'create' : 'update'
      const message = `Unable to ${verb} fields: ${forbidden.join(', ')}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.`
      errors.unshift(rowError('INVALID_FIELD_FOR_INSERT_UPDATE', message, forbidden))
    }
    if (errors.length === 0) errors.push(...missing(store, record, values), ...this.#taken(store, record, values))
    return errors.length > 0 ? { errors } : { values }
  }

  /** `{"Account": {"External_Id__c": "x"}}` as the lookup field with the id of the record that is meant. */
  #related(store: ObjectStore, name: string, given: JsonObject): { field: Field; value: Scalar } | { error: RowError } {
    const lookup = [...store.fields.values()].find((field) => field.relationshipName?.toLowerCase() === name.toLowerCase())
    const named = isObject(given['attributes']) ? String(given['attributes']['type']) : lookup?.referenceTo[0]
    const target = lookup === undefined || named === undefined || !lookup.referenceTo.includes(named) ? undefined : this.store(named)
    if (lookup === undefined || target === undefined || (lookup.polymorphicForeignKey && !isObject(given['attributes'])))
      return { error: rowError('INVALID_FIELD', `No such column '${name}' on sobject of type ${store.name}`, [name]) }
    const [entry] = Object.entries(given).filter(([key]) => key !== 'attributes')
    const key = entry === undefined ? undefined : this.field(target, entry[0])
    if (entry === undefined || key?.externalId !== true)
      return { error: rowError('INVALID_FIELD', `${entry?.[0] ?? name} is not an external id field for entity ${target.name}`, []) }
    const value = scalarOf(entry[1])
    const found = target.holding(key, value)
    const [only] = found
    if (only === undefined || found.length > 1) {
      const message = `Foreign key external ID: ${String(value).toLowerCase()} not found for field ${key.name} in entity ${target.name}`
      return { error: rowError('INVALID_FIELD', message, []) }
    }
    return { field: lookup, value: only.id }
  }

  #taken(store: ObjectStore, record: StoredObject | undefined, values: Values): RowError[] {
    for (const [name, value] of values) {
      const field = store.fields.get(name)
      if (field?.type === 'reference' && value !== null && !this.#exists(field, String(value)))
        return [rowError('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id', [name])]
      if (field?.unique !== true) continue
      const holder = store.holding(field, value).find((other) => other !== record)
      if (holder !== undefined)
        return [rowError('DUPLICATE_VALUE', `duplicate value found: ${name} duplicates value on record with id: ${holder.id.slice(0, 15)}`)]
    }
    return []
  }

  #exists(field: Field, id: string): boolean {
    // Users are not kept here: every id of one is taken for good.
    return field.referenceTo.some((name) => name === 'User' || this.store(name)?.byId(id) !== undefined)
  }

  /** A scripted refusal that is due for a record with these values. */
  #fault(values: readonly unknown[]): RowError | null {
    const fault = this.settings.rowFaults.find(
      (each) => (each.key === '*' || values.includes(each.key)) && (this.#struck.get(each) ?? 0) < (each.times ?? 1),
    )
    if (fault === undefined) return null
    this.#struck.set(fault, (this.#struck.get(fault) ?? 0) + 1)
    return rowError(fault.statusCode, fault.message, fault.fields ?? [])
  }

  #refused(errors: readonly RowError[]): Saved {
    this.refusedRecords += 1
    return { success: false, errors }
  }
}

function missing(store: ObjectStore, record: StoredObject | undefined, values: Values): RowError[] {
  if (record !== undefined) return []
  const names = [...store.fields.values()]
    .filter((field) => field.createable && !field.nillable && !field.defaultedOnCreate && (values.get(field.name) ?? null) === null)
    .map((field) => field.name)
  return names.length === 0 ? [] : [rowError('REQUIRED_FIELD_MISSING', `Required fields are missing: [${names.join(', ')}]`, names)]
}

export function scalarOf(value: unknown): Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
}
