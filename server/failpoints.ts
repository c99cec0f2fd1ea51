import { writeSync } from 'node:fs'
import { armFailpoints, parseFailpoints, type Strike } from '../activities/failpoints.ts'
import type { Logger } from './logger.ts'

const STDERR = 2

/**
 * Arms what TAILRACE_FAILPOINTS names (activities/failpoints.ts); nothing when it is unset. For tests only: the parent process
 * may arm others later by a message `{failpoints: "…"}` (empty: none), which is answered by `{armed: "…"}`.
 */
export function armFromSettings(strikes: readonly Strike[] | null, log: Logger): void {
  if (strikes === null) return
  log.warn({ failpoints: strikes.length }, 'TAILRACE_FAILPOINTS is set: this process is made to fail, for tests only')
  armFailpoints(strikes, act)
  process.on('message', (message) => {
    if (typeof message !== 'object' || message === null || !('failpoints' in message)) return
    const text = String(message.failpoints)
    armFailpoints(text === '' ? [] : parseFailpoints(text), act)
    process.send?.({ armed: text })
  })
  process.channel?.unref()
}

/** Told before it is done, because afterwards nobody can. */
function act({ at, action }: Strike, pass: number): void {
  writeSync(STDERR, `failpoint ${at} pass ${pass}: ${action}\n`)
  if (action === 'kill') process.kill(process.pid, 'SIGKILL')
  if (action === 'freeze') process.kill(process.pid, 'SIGSTOP')
}
