/** Requests in flight to one account from this worker, over all its ranges and syncs. */
export class Lanes {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(lanes: number) {
    this.#free = lanes
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

const byAccount = new Map<string, Lanes>()

export function lanesOf(account: string, lanes: number): Lanes {
  const id = `${account} ${lanes}`
  let found = byAccount.get(id)
  if (!found) byAccount.set(id, (found = new Lanes(lanes)))
  return found
}
