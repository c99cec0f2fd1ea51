import { EXIT } from './cli/exit.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Listens for Ctrl-C and its kin until `deaf` is called; `signal` is aborted by the first. */
export function toldToStop(): { readonly signal: AbortSignal; deaf(): void } {
  const told = new AbortController()
  let toldAt = 0
  const hear = (): void => {
    // Under npm and npx one Ctrl-C arrives twice: from the terminal and passed on by npm. Whoever asks again later is in a hurry:
    // the parts end by themselves when we are gone.
    if (told.signal.aborted && performance.now() - toldAt > 2000) process.exit(EXIT.failed)
    if (told.signal.aborted) return
    toldAt = performance.now()
    told.abort()
  }
  for (const signal of SIGNALS) process.on(signal, hear)
  return {
    signal: told.signal,
    deaf() {
      for (const signal of SIGNALS) process.off(signal, hear)
    },
  }
}
