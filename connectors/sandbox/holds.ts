/** Requests kept by `hold` faults until they are let go, and a way to wait for them. */
export class Holds {
  #held: ((apply: boolean) => void)[] = []
  #waiters: { readonly count: number; readonly resolve: (reached: boolean) => void }[] = []

  get count(): number {
    return this.#held.length
  }

  /** Resolves to true when released, to false when the sandbox is reset or closed: then the request is dropped, not applied. */
  hold(): Promise<boolean> {
    const released = new Promise<boolean>((resolve) => this.#held.push(resolve))
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.count < count) return true
      resolve(true)
      return false
    })
    return released
  }

  /** Lets the oldest `count` requests go on; how many there were. */
  release(count = Infinity): number {
    const some = this.#held.splice(0, count)
    for (const proceed of some) proceed(true)
    return some.length
  }

  /** True as soon as `count` requests are held, false if that does not happen in `timeoutMs`. */
  reached(count: number, timeoutMs: number): Promise<boolean> {
    if (this.count >= count) return Promise.resolve(true)
    return new Promise((resolve) => {
      const waiter = { count, resolve: (reached: boolean) => finish(reached) }
      const timer = setTimeout(() => finish(false), timeoutMs)
      const finish = (reached: boolean): void => {
        clearTimeout(timer)
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        resolve(reached)
      }
      this.#waiters.push(waiter)
    })
  }

  drop(): void {
    for (const proceed of this.#held.splice(0)) proceed(false)
    for (const waiter of [...this.#waiters]) waiter.resolve(false)
  }
}
