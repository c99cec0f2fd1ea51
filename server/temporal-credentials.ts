import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from './logger.ts'
import type { TemporalSettings } from './settings.ts'

const LOOK_MS = 10_000

/**
 * Follows credentials for Temporal that are rotated: the files of the settings (API key, certificates, the SDK's configuration) are
 * read again every 10 s, and `reconnect` is called with what they say once that is new. While they cannot be read, or Temporal takes
 * nobody by them, the connection before stays and the next look tries again. Does nothing where no file is named.
 */
export function followCredentials(
  temporal: TemporalSettings,
  reconnect: (options: TemporalSettings['connection']) => Promise<void>,
  log: Logger,
): { stop(): Promise<void> } {
  const { readAgain } = temporal
  if (readAgain === null) return { stop: async () => undefined }
  const stopped = new AbortController()
  const follow = async (): Promise<void> => {
    let known = temporal.connection
    while (await sleep(LOOK_MS, true, { ref: false, signal: stopped.signal }).catch(() => false)) {
      try {
        const now = readAgain()
        if (isDeepStrictEqual(now, known)) continue
        await reconnect(now)
        known = now
        log.info('the credentials for Temporal are new; it was connected to anew')
      } catch (error) {
        log.warn({ err: error }, 'the credentials for Temporal are new and cannot be used yet; the connection before is kept')
      }
    }
  }
  const following = follow()
  return {
    stop: () => {
      stopped.abort()
      return following
    },
  }
}
