import { BUILT_IN_UNIQUE, TYPE_IDS } from './stand-in-seed.ts'
import type { Property } from './stand-in-properties.ts'

export interface StoredObject {
  readonly id: string
  readonly properties: Map<string, string>
  readonly createdAt: number
  updatedAt: number
  /** Further e-mail addresses that find a contact, left by merges. */
  readonly additionalEmails: Set<string>
  readonly mergedIds: string[]
}

/** The records of one object, with an index over its unique properties. Removed records leave both. */
export class ObjectStore {
  readonly type: string
  readonly properties: Map<string, Property>
  /** What a new record must have, by the schema of a custom object. */
  readonly required: readonly string[]
  readonly #records = new Map<string, StoredObject>()
  readonly #unique = new Map<string, Map<string, string>>()
  readonly #survivors = new Map<string, string>()

  constructor(type: string, properties: Map<string, Property>, required: readonly string[]) {
    this.type = type
    this.properties = properties
    this.required = required
  }

  /** `0-N`, or `2-N` for a custom object. */
  get typeId(): string {
    return TYPE_IDS[this.type] ?? this.type
  }

  get size(): number {
    return this.#records.size
  }

  all(): IterableIterator<StoredObject> {
    return this.#records.values()
  }

  isUnique(name: string): boolean {
    return BUILT_IN_UNIQUE[this.type] === name || this.properties.get(name)?.hasUniqueValue === true
  }

  /** Record by id; with `followMerges` the survivor of a merged-away id. */
  byId(id: string, followMerges = false): StoredObject | undefined {
    return this.#records.get(id) ?? (followMerges ? this.#records.get(this.#survivors.get(id) ?? '') : undefined)
  }

  byUnique(name: string, value: string): StoredObject | undefined {
    const id = this.#unique.get(name)?.get(fold(value))
    return id === undefined ? undefined : this.#records.get(id)
  }

  /** Another record that holds this value of a unique property. */
  holder(name: string, value: string, besides: StoredObject | undefined): StoredObject | undefined {
    if (value === '' || !this.isUnique(name)) return undefined
    const holder = this.byUnique(name, value)
    return holder === besides ? undefined : holder
  }

  create(id: string, now: number): StoredObject {
    const record: StoredObject = { id, properties: new Map(), createdAt: now, updatedAt: now, additionalEmails: new Set(), mergedIds: [] }
    this.#records.set(id, record)
    return record
  }

  /** Sets checked values ('' clears) and says whether anything changed; only then `updatedAt` moves. */
  write(record: StoredObject, values: Readonly<Record<string, string>>, now: number): boolean {
    let changed = false
    for (const [name, value] of Object.entries(values)) {
      const before = record.properties.get(name) ?? ''
      // A contact's additional address, written as its e-mail, does not become the first one.
      if (before === value || (name === 'email' && record.additionalEmails.has(value))) continue
      changed = true
      if (this.isUnique(name)) this.#reindex(name, before, value, record.id)
      if (value === '') record.properties.delete(name)
      else record.properties.set(name, value)
    }
    if (changed) record.updatedAt = now
    return changed
  }

  remove(record: StoredObject): void {
    this.#records.delete(record.id)
    for (const [name, value] of record.properties) if (this.isUnique(name)) this.#reindex(name, value, '', record.id)
    for (const email of record.additionalEmails) this.#reindex('email', email, '', record.id)
  }

  /** `loser` becomes part of `survivor`, which keeps its own values, takes the ones it lacks and answers to the loser's addresses. */
  merge(survivor: StoredObject, loser: StoredObject, now: number): void {
    const email = loser.properties.get('email')
    this.remove(loser)
    this.#survivors.set(loser.id, survivor.id)
    for (const [from, to] of this.#survivors) if (to === loser.id) this.#survivors.set(from, survivor.id)
    survivor.mergedIds.push(loser.id, ...loser.mergedIds)
    const missing = [...loser.properties].filter(([name]) => !survivor.properties.has(name))
    this.write(survivor, Object.fromEntries(missing), now)
    for (const address of [email, ...loser.additionalEmails]) {
      if (this.type !== 'contacts' || address === undefined || address === survivor.properties.get('email')) continue
      survivor.additionalEmails.add(address)
      this.#reindex('email', '', address, survivor.id)
    }
    survivor.updatedAt = now
  }

  /** What identifies the record for who counts writes: e-mail or another unique value, else the id. */
  keyOf(record: StoredObject): string {
    const built = BUILT_IN_UNIQUE[this.type]
    const names = [
      ...(built === undefined ? [] : [built]),
      ...[...this.properties.values()].filter((each) => each.hasUniqueValue).map((each) => each.name),
    ]
    return names.map((name) => record.properties.get(name)).find((value) => value !== undefined) ?? record.id
  }

  /** All properties as an answer shows them, those that HubSpot keeps itself included. */
  shown(record: StoredObject): Record<string, string> {
    const modified = this.type === 'contacts' ? 'lastmodifieddate' : 'hs_lastmodifieddate'
    return {
      ...Object.fromEntries(record.properties),
      hs_object_id: record.id,
      createdate: new Date(record.createdAt).toISOString(),
      [modified]: new Date(record.updatedAt).toISOString(),
      ...(record.additionalEmails.size === 0 ? {} : { hs_additional_emails: [...record.additionalEmails].join(';') }),
      ...(record.mergedIds.length === 0 ? {} : { hs_merged_object_ids: record.mergedIds.join(';') }),
    }
  }

  #reindex(name: string, before: string, after: string, id: string): void {
    const index = this.#unique.get(name) ?? new Map<string, string>()
    this.#unique.set(name, index)
    if (before !== '' && index.get(fold(before)) === id) index.delete(fold(before))
    if (after !== '') index.set(fold(after), id)
  }
}

/** How unique values are compared: e-mail addresses without case for sure, the others so by assumption. */
export function fold(value: string): string {
  return value.trim().toLowerCase()
}
