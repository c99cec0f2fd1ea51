import { setTimeout as pause } from 'node:timers/promises'

/**
 * Asks until the answer is neither null nor false, for a minute. Only for what gives no signal to wait for. The pause is for the API: it refuses
 * an address that asks more than 6,000 times a minute.
 */
export async function eventually<T>(what: string, ask: () => Promise<T | null | false>): Promise<T> {
  const limit = performance.now() + 60_000
  for (;;) {
    const found = await ask()
    if (found !== null && found !== false) return found
    if (performance.now() > limit) throw new Error(`never came: ${what}`)
    await pause(100)
  }
}
