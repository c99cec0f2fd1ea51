import type { Target } from './config.ts'
import { withSession } from './session.ts'

/**
 * Ends a read whose connection died without a word. Silence alone proves nothing, a long sort is silent too: once no byte came for
 * `silenceMs` while the reader waited for one, `working` is asked, and only its second no in a row calls `stop`, as the first may have
 * met the last bytes on their way. How long the server may work is statement_timeout's business.
 */
export class SilenceWatch {
  readonly #silenceMs: number
  readonly #working: () => Promise<boolean>
  readonly #stop: () => void
  readonly #timer: NodeJS.Timeout
  #since: number | null = null
  #arrivals = 0
  #doubts = 0
  #asking = false

  constructor({ silenceMs, working, stop }: { silenceMs: number; working: () => Promise<boolean>; stop: () => void }) {
    this.#silenceMs = silenceMs
    this.#working = working
    this.#stop = stop
    this.#timer = setInterval(() => void this.#look(), Math.max(silenceMs / 4, 10))
    this.#timer.unref()
  }

  /** The reader waits from now on. A reader that is busy with what it got is no silence. */
  waiting(): void {
    this.#since = performance.now()
  }

  arrived(): void {
    this.#since = null
    this.#arrivals++
    this.#doubts = 0
  }

  end(): void {
    clearInterval(this.#timer)
    this.arrived()
  }

  async #look(): Promise<void> {
    if (this.#asking || this.#since === null || performance.now() - this.#since < this.#silenceMs) return
    this.#asking = true
    const before = this.#arrivals
    const working = await this.#working().catch(() => false)
    this.#asking = false
    if (this.#arrivals !== before) return
    if (working) {
      this.#since = performance.now()
      this.#doubts = 0
    } else if (++this.#doubts === 2) this.#stop()
  }
}

/** Whether a backend computes. Rejects if it cannot be asked. */
export async function isWorking(target: Target, pid: number): Promise<boolean> {
  const late = AbortSignal.timeout(20_000)
  return withSession(target, late, 20, async ({ client }) => {
    const { rows } = await client.query(target.dialect.working, [pid])
    return rows.length > 0
  })
}
