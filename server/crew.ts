import type { Environment } from './environment.ts'
import { describeEnd, startChild, type Child } from './embedded/child.ts'
import { nodeArguments } from './entry.ts'

export type Part = 'worker' | 'api' | 'temporal' | 'database'

const STOP_ORDER: readonly Part[] = ['worker', 'api', 'temporal', 'database']
const READY_MS = 90_000
/** Above the worker's own shutdown times, which end it earlier. */
const STOP_MS = 30_000

/** The processes that make up a stack: told apart when one ends by itself, stopped in order. */
export class Crew {
  readonly #log: (part: Part, line: string) => void
  readonly #members = new Map<Part, () => Promise<void>>()
  #stopping: Promise<void> | null = null
  #fail: (reason: string) => void = () => {}
  /** Resolves with what to tell the user when a part ends by itself. */
  readonly failed: Promise<string>

  constructor(log: (part: Part, line: string) => void) {
    this.#log = log
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
  }

  /** Takes charge of a process. Once the crew is being stopped it stops the newcomer and throws. */
  async add(part: Part, child: Child, stop: () => Promise<void>): Promise<void> {
    if (this.#stopping !== null) {
      await stop()
      this.refuseIfStopping()
    }
    this.#members.set(part, stop)
    void child.ended.then((end) => {
      if (this.#stopping === null) this.#fail(`${part} ${describeEnd(end)}${quote(child)}`)
    })
  }

  /** Starts `tailrace api` or `tailrace worker` and waits until it says that it is ready. */
  async enlist(part: 'api' | 'worker', env: Environment): Promise<void> {
    this.refuseIfStopping()
    const child = startChild(process.execPath, [...nodeArguments('main'), part], {
      // glibc keeps memory per thread: with two arenas a worker's peak is 268 MB instead of 357. As in the image.
      env: { MALLOC_ARENA_MAX: '2', ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      log: (line) => this.#log(part, line),
    })
    await this.add(part, child, () => child.stop('SIGTERM', STOP_MS))
    const ready = new Promise<'ready'>((resolve) => {
      child.process.on('message', (message) => {
        if (typeof message === 'object' && 'ready' in message && message.ready === true) resolve('ready')
      })
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), READY_MS)
    })
    const outcome = await Promise.race([ready, late, child.ended])
    clearTimeout(timer)
    if (outcome === 'late') throw new Error(`${part} was not ready after ${READY_MS / 1000} seconds${quote(child)}`)
    if (outcome !== 'ready') throw new Error(`${part} ${describeEnd(outcome)}${quote(child)}`)
  }

  refuseIfStopping(): void {
    if (this.#stopping !== null) throw new Error('stopped while starting')
  }

  /** Idempotent; never rejects: a part that cannot be stopped has been killed by then. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    for (const part of STOP_ORDER)
      await this.#members
        .get(part)?.()
        .catch((error: unknown) => this.#log(part, `could not be stopped: ${String(error)}`))
  }
}

function quote(child: Child): string {
  const lines = child.lastLines()
  return lines === '' ? ' and said nothing' : `; its last lines:\n${lines.replaceAll(/^/gm, '  ')}`
}
