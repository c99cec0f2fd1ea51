import type { Random } from './random.ts'
import type { Row, Step } from './schedule.ts'

type RowStep = Step & { do: 'rows' }

const WEIGHTS = { update: 6, insert: 3, remove: 3, swap: 2, rename: 3, inherit: 2, revert: 4, clash: 1, break: 1 } as const

/** The warehouse's table as the schedule changes it. Pure: what was drawn is all there is. */
export class Rows {
  readonly #random: Random
  readonly #rows = new Map<number, Row>()
  /** What rows were before, to go back to. */
  readonly #past: Row[] = []
  #lastId = 0
  #version = 0

  constructor(random: Random, count: number) {
    this.#random = random
    for (let i = 0; i < count; i++) this.#add()
  }

  all(): Row[] {
    return [...this.#rows.values()]
  }

  draw(): RowStep {
    const why = this.#random.weighted(WEIGHTS)
    const before = new Map(this.#rows)
    this.#change(why)
    return this.#step(why, before)
  }

  /** Whatever keeps a row from being sent is put right. */
  repair(): RowStep {
    const before = new Map(this.#rows)
    const taken = new Set<string>()
    for (const row of this.all()) {
      if (taken.has(row.email) || !row.email.includes('@')) this.#rows.set(row.id, { ...row, email: this.#freshEmail() })
      else taken.add(row.email)
    }
    return this.#step('repair', before)
  }

  #change(why: keyof typeof WEIGHTS): void {
    const few = this.#random.some(this.all(), this.#random.whole(1, 12))
    const [a, b] = few
    switch (why) {
      case 'update':
        for (const row of this.#random.some(this.all(), this.#random.whole(1, 200))) this.#put({ ...row, name: this.#name() })
        return
      case 'insert':
        for (let i = few.length * 4; i > 0; i--) this.#add()
        return
      case 'remove':
        for (const row of few) this.#remove(row)
        return
      case 'swap':
        if (!a || !b) return
        this.#put({ ...a, email: b.email, name: this.#name() })
        this.#put({ ...b, email: a.email, name: this.#name() })
        return
      case 'rename':
        for (const row of few) this.#put({ ...row, email: this.#freshEmail() })
        return
      case 'inherit':
        // A key leaves and another one arrives with its e-mail.
        for (const row of few) {
          this.#remove(row)
          this.#put({ id: ++this.#lastId, email: row.email, name: this.#name() })
        }
        return
      case 'revert':
        for (const row of this.#random.some(this.#past, this.#random.whole(1, 60))) if (this.#isFree(row)) this.#put(row)
        return
      case 'clash':
        if (a && b) this.#put({ ...a, email: b.email })
        return
      case 'break':
        if (a) this.#put({ ...a, email: `broken ${a.id}` })
    }
  }

  #isFree({ id, email }: Row): boolean {
    return this.all().every((row) => row.id === id || row.email !== email)
  }

  #add(): void {
    const id = ++this.#lastId
    this.#rows.set(id, { id, email: `person${id}@example.com`, name: this.#name() })
  }

  #put(row: Row): void {
    const before = this.#rows.get(row.id)
    if (before) this.#past.push(before)
    this.#rows.set(row.id, row)
  }

  #remove(row: Row): void {
    this.#past.push(row)
    this.#rows.delete(row.id)
  }

  #name(): string {
    return `v${++this.#version}`
  }

  #freshEmail(): string {
    return `moved${++this.#version}@example.com`
  }

  #step(why: string, before: ReadonlyMap<number, Row>): RowStep {
    return {
      do: 'rows',
      why,
      put: this.all().filter((row) => before.get(row.id) !== row),
      remove: [...before.keys()].filter((id) => !this.#rows.has(id)),
    }
  }
}
