/** Numbers, choices and picks that follow from a seed alone. */
export interface Random {
  /** In [0, 1). */
  next(): number
  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number
  one<T>(items: readonly [T, ...T[]]): T
  /** By weight; at least one has a weight above 0. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T
  /** So many different ones, or all. */
  some<T>(items: readonly T[], count: number): T[]
}

/** mulberry32: 32 bits of state, passes the usual tests, the same on every machine. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const whole = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    whole,
    one: (items) => items[whole(0, items.length - 1)] ?? items[0],
    weighted(weights) {
      const names = Object.keys(weights) as (keyof typeof weights)[]
      let at = next() * names.reduce((sum, name) => sum + weights[name], 0)
      for (const name of names) {
        at -= weights[name]
        if (at < 0) return name
      }
      throw new Error('no weight is above 0')
    },
    some(items, count) {
      const left = [...items]
      const picked = []
      while (left.length > 0 && picked.length < count) picked.push(...left.splice(whole(0, left.length - 1), 1))
      return picked
    },
  }
}
