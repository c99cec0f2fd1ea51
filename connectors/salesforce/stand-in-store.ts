import { canonicalId } from './ids.ts'
import { foldMatch } from './compare.ts'
import type { Scalar } from '../matched-records.ts'
import type { Field } from './stand-in-fields.ts'
import type { ObjectSeed } from './stand-in-seed.ts'

export interface StoredObject {
  readonly id: string
  readonly values: Map<string, Scalar>
  readonly createdAt: number
  modifiedAt: number
}

/** The records of one object, with an index over every field that identifies records. Removed records leave both. */
export class ObjectStore {
  readonly name: string
  readonly keyPrefix: string
  readonly fields: ReadonlyMap<string, Field>
  readonly #records = new Map<string, StoredObject>()
  readonly #deleted = new Set<string>()
  readonly #index = new Map<string, Map<string, Set<string>>>()
  #last = 0

  constructor({ name, keyPrefix, fields }: ObjectSeed) {
    this.name = name
    this.keyPrefix = keyPrefix
    this.fields = new Map(fields.map((field) => [field.name, field]))
  }

  get size(): number {
    return this.#records.size
  }

  all(): IterableIterator<StoredObject> {
    return this.#records.values()
  }

  /** By an id of 15 or 18 characters. */
  byId(id: string): StoredObject | undefined {
    return this.#records.get(canonicalId(id) ?? '')
  }

  wasDeleted(id: string): boolean {
    return this.#deleted.has(canonicalId(id) ?? '')
  }

  /** Records that hold this value of an external id or unique field, as Salesforce compares it. */
  holding(field: Field, value: Scalar): StoredObject[] {
    if (value === null || value === '') return []
    const ids = this.#index.get(field.name)?.get(foldMatch(String(value), field)) ?? []
    return [...ids].flatMap((id) => this.#records.get(id) ?? [])
  }

  create(now: number): StoredObject {
    this.#last += 1
    const core = `${this.keyPrefix}00000${this.#last.toString(36).padStart(7, '0')}`
    const record: StoredObject = { id: canonicalId(core) ?? core, values: new Map(), createdAt: now, modifiedAt: now }
    this.#records.set(record.id, record)
    return record
  }

  /** Sets checked values; null clears. Whether anything changed; `modifiedAt` moves either way, as it does at Salesforce. */
  write(record: StoredObject, values: ReadonlyMap<string, Scalar>, now: number): boolean {
    let changed = false
    for (const [name, value] of values) {
      const before = record.values.get(name) ?? null
      if (before === value) continue
      changed = true
      const field = this.fields.get(name)
      if (field !== undefined && (field.unique || field.externalId)) this.#reindex(field, before, value, record.id)
      if (value === null) record.values.delete(name)
      else record.values.set(name, value)
    }
    record.modifiedAt = now
    return changed
  }

  remove(record: StoredObject): void {
    for (const [name, value] of record.values) {
      const field = this.fields.get(name)
      if (field !== undefined && (field.unique || field.externalId)) this.#reindex(field, value, null, record.id)
    }
    this.#records.delete(record.id)
    this.#deleted.add(record.id)
  }

  /** What identifies the record for who counts writes: an external id, else the record's own. */
  keyOf(record: StoredObject): string {
    const names = [...this.fields.values()].filter((field) => field.externalId).map((field) => field.name)
    const value = names.map((name) => record.values.get(name)).find((held) => held !== undefined)
    return value === undefined || value === null ? record.id : String(value)
  }

  /** All values, those that Salesforce keeps itself included. */
  shown(record: StoredObject): Record<string, Scalar> {
    const [created, modified] = [record.createdAt, record.modifiedAt].map(timestamp)
    return {
      Id: record.id,
      IsDeleted: false,
      CreatedDate: created ?? null,
      LastModifiedDate: modified ?? null,
      SystemModstamp: modified ?? null,
      ...Object.fromEntries([...this.fields.values()].filter(({ type }) => type === 'boolean').map(({ name }) => [name, false])),
      ...Object.fromEntries(record.values),
    }
  }

  #reindex(field: Field, before: Scalar, after: Scalar, id: string): void {
    const index = this.#index.get(field.name) ?? new Map<string, Set<string>>()
    this.#index.set(field.name, index)
    if (before !== null) index.get(foldMatch(String(before), field))?.delete(id)
    if (after === null) return
    const folded = foldMatch(String(after), field)
    const ids = index.get(folded) ?? new Set()
    index.set(folded, ids.add(id))
  }
}

/** A date-time as Salesforce writes it: whole seconds, `+0000`. */
export function timestamp(ms: number): string {
  return new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('Z', '+0000')
}
