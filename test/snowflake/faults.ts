/** Where the stand-in can misbehave. */
export type Place = 'login' | 'token' | 'query' | 'monitoring' | 'result' | 'chunk'

export interface Fault {
  readonly on: Place
  /**
   * `status` an HTTP answer without meaning · `drop` the connection ends without an answer · `cut` it ends in the middle of the
   * body · `short` a chunk lacks its last row · `malformed` a chunk is no JSON · `empty` a chunk has no body · `expired` the session
   * token has expired · `lost_answer` the request is carried out and its answer lost
   */
  readonly does: 'status' | 'drop' | 'cut' | 'short' | 'malformed' | 'empty' | 'expired' | 'lost_answer'
  readonly status?: number
  /** How often; once if left out. */
  readonly times?: number
}

/** Faults in the order in which they were asked for, each used up by the requests it hits. */
export class Faults {
  #pending: { fault: Fault; left: number }[] = []

  add(fault: Fault): void {
    this.#pending.push({ fault, left: fault.times ?? 1 })
  }

  take(place: Place): Fault | null {
    const next = this.#pending.find(({ fault }) => fault.on === place)
    if (next === undefined) return null
    next.left--
    if (next.left === 0) this.#pending = this.#pending.filter((pending) => pending !== next)
    return next.fault
  }
}
