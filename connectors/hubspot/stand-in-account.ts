import type { StoredRecord } from '../sandbox/stand-in.ts'
import { WriteLog } from '../sandbox/write-log.ts'
import { textAt } from '../json-object.ts'
import type { Prepared } from './stand-in-inputs.ts'
import { catalogue, seedProperties, type Schema } from './stand-in-seed.ts'
import { ObjectStore, type StoredObject } from './stand-in-store.ts'
import type { Property } from './stand-in-properties.ts'

/** One HubSpot account in memory: its objects, their records, and the log of what was written. */
export class Account {
  readonly now: () => number
  readonly log = new WriteLog()
  readonly schemas: Schema[] = []
  readonly #stores: Map<string, ObjectStore>
  readonly #random: () => number
  /** Accepted writes that found every value there already. */
  unchanged = 0
  refusedInputs = 0
  shuffle = true
  #lastId = 100_000

  constructor(now: () => number) {
    this.now = now
    this.#random = pseudoRandom(20_260_131)
    this.#stores = new Map([...seedProperties()].map(([type, properties]) => [type, new ObjectStore(type, properties, [])]))
  }

  /** The object by the name that a path gives it; undefined if there is none. */
  store(name: string): ObjectStore | undefined {
    const schema = this.schemas.find((each) => [each.name, `p_${each.name}`, each.fullyQualifiedName, each.objectTypeId].includes(name))
    return this.#stores.get(schema?.objectTypeId ?? name) ?? [...this.#stores.values()].find((each) => each.typeId === name)
  }

  addObject(schema: Schema, properties: readonly Property[]): void {
    this.schemas.push(schema)
    this.#stores.set(schema.objectTypeId, new ObjectStore(schema.objectTypeId, catalogue(properties), schema.requiredProperties))
  }

  nextId(): string {
    this.#lastId += 1
    return String(this.#lastId)
  }

  /** Writes checked values, creates the record where there is none, and logs it. */
  apply(
    store: ObjectStore,
    prepared: Pick<Prepared, 'input' | 'record' | 'properties'>,
    values: Readonly<Record<string, string>>,
  ): { record: StoredObject; created: boolean } {
    const created = prepared.record === undefined
    const record = prepared.record ?? store.create(this.nextId(), this.now())
    const changed = store.write(record, values, this.now())
    if (!changed && !created) this.unchanged += 1
    const trace = textAt(prepared.input, 'objectWriteTraceId')
    const content = JSON.stringify(prepared.properties)
    this.log.applied({ object: store.type, key: store.keyOf(record), content, ...(trace === null ? {} : { recordId: trace }) })
    return { record, created }
  }

  /** Unknown and removed ids are passed over in silence. */
  archive(store: ObjectStore, id: string): void {
    const record = store.byId(id)
    if (record === undefined) return
    this.log.applied({ object: store.type, key: store.keyOf(record), content: null })
    store.remove(record)
  }

  records(object?: string): StoredRecord[] {
    const stores = object === undefined ? [...this.#stores.values()] : [this.store(object)]
    return stores.flatMap((store) =>
      store === undefined
        ? []
        : [...store.all()].map((record) => ({ object: store.type, key: store.keyOf(record), fields: store.shown(record) })),
    )
  }

  count(): number {
    return [...this.#stores.values()].reduce((sum, store) => sum + store.size, 0)
  }

  /** In another order, the same one for the same calls since the start. */
  shuffled<T>(items: readonly T[]): T[] {
    if (!this.shuffle) return [...items]
    return items
      .map((item) => ({ item, at: this.#random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)
  }
}

/** Numbers in [0, 1) from a linear congruence: good enough to shuffle, and the same in every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}
