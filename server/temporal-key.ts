import { readFile } from 'node:fs/promises'
import type { Logger } from './logger.ts'

const LOOK_MS = 30_000

interface TakesKey {
  setApiKey(key: string): void
}

/**
 * Hands the connections a rotated key for Temporal: the file of TEMPORAL_API_KEY_FILE is read again every 30 s. While it cannot be
 * read the key before stays. Does nothing where no file is named.
 */
export function followApiKey(file: string | null, connections: readonly TakesKey[], log: Logger): { stop(): void } {
  if (file === null) return { stop: () => undefined }
  let known: string | null = null
  const look = async (): Promise<void> => {
    const key = (await readFile(file, 'utf8')).trim()
    if (key === '' || key === known) return
    known = key
    for (const connection of connections) connection.setApiKey(key)
  }
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.warn({ err: error }, 'TEMPORAL_API_KEY_FILE cannot be read; the key before is used'))
  }, LOOK_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
