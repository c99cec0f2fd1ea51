import { setTimeout as sleep } from 'node:timers/promises'

const PAUSE_MS = 500

/** Whether an error says that the state database is away rather than that the statement is wrong. Pure. */
export function databaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (/^(08|57P|53)/.test(code)) return true
  return (
    /ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|EAI_AGAIN/.test(code) ||
    /Connection terminated|connection timeout|terminating connection/i.test(error.message)
  )
}

/** Repeats a statement that is safe to repeat while the state database is away, for at most `limitMs`. Other errors pass at once. */
export async function outlastOutage<T>(limitMs: number, statement: () => Promise<T>): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    try {
      return await statement()
    } catch (error) {
      if (!databaseAway(error) || performance.now() + PAUSE_MS > end) throw error
      await sleep(PAUSE_MS)
    }
  }
}
