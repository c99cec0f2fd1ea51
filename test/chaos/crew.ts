import { once } from 'node:events'
import type { Failpoint, Strike } from '../../activities/failpoints.ts'
import type { Role, Stack } from '../harness/stack.ts'
import type { Passed, ProcessKind, Turn } from './journal.ts'

/** How long a process stands still that froze at a failpoint; longer than a batch is left alone. */
const FROZEN_MS = 9_000

interface Member {
  readonly kind: ProcessKind
  readonly nth: number
  readonly role: Role
}

/** The product's processes: each tells the failpoints it passes and may have a fate; one that dies is replaced at once. */
export class Crew {
  readonly #stack: Stack
  readonly #fates: Readonly<Record<ProcessKind, readonly (Strike | null)[]>>
  readonly #note: (turn: Turn) => void
  readonly #started: Record<ProcessKind, number> = { worker: 0, api: 0 }
  readonly #timers = new Set<NodeJS.Timeout>()
  #members: Member[] = []
  readonly #replacing = new Set<Promise<void>>()
  #calm = false
  #dismissed = false

  constructor(input: { stack: Stack; fates: Readonly<Record<ProcessKind, readonly (Strike | null)[]>>; note: (turn: Turn) => void }) {
    this.#stack = input.stack
    this.#fates = input.fates
    this.#note = input.note
  }

  async start(kind: ProcessKind): Promise<void> {
    const nth = this.#started[kind]++
    const fate = this.#calm ? null : (this.#fates[kind][nth] ?? null)
    const failpoints = fate ? `*=tell,${fate.at}=${fate.action}@${fate.pass}` : '*=tell'
    this.#note({ started: kind, nth })
    const role = await this.#stack.start(kind, { TAILRACE_FAILPOINTS: failpoints }).catch((error: unknown) => {
      // Its fate, or the state of the servers, ended it before it was ready.
      this.#note({ died: kind, nth, passed: lastPassed(String(error)) })
      return null
    })
    if (role === null) return this.start(kind)
    const member = { kind, nth, role }
    this.#members.push(member)
    role.process.stderr?.on('data', (chunk: Buffer) => {
      if (/failpoint \S+ pass \d+: freeze/.test(chunk.toString())) this.#thawLater(member, FROZEN_MS)
    })
    void once(role.process, 'close').then(() => this.#ended(member))
  }

  /** SIGKILL to the longest-lived process of the kind; which one it was. */
  async kill(kind: ProcessKind): Promise<number | undefined> {
    const victim = this.#oldest(kind)
    await victim?.role.kill()
    return victim?.nth
  }

  /** Waits until there is one, if one is being started. */
  async present(kind: ProcessKind): Promise<void> {
    while (!this.#oldest(kind) && this.#replacing.size > 0) await Promise.race(this.#replacing)
  }

  freeze(ms: number): void {
    const worker = this.#oldest('worker')
    if (!worker) return
    worker.role.process.kill('SIGSTOP')
    this.#thawLater(worker, ms)
  }

  /** Another worker comes, then the oldest gets SIGTERM; its exit code. */
  async move(): Promise<number | null> {
    const leaving = this.#oldest('worker')
    await this.start('worker')
    this.#members = this.#members.filter((member) => member !== leaving)
    return leaving ? leaving.role.stop() : null
  }

  /** From now on nothing dies or freezes by itself; all are awake. */
  async calm(): Promise<void> {
    this.#calm = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const { role } of this.#members) role.process.kill('SIGCONT')
    await Promise.all(this.#replacing)
    // One that dies of its fate in this very moment is replaced by a calm one.
    await Promise.all(this.#members.map(({ role }) => Promise.race([role.arm(''), role.ended])))
    await Promise.all(this.#replacing)
  }

  #oldest(kind: ProcessKind): Member | undefined {
    return this.#members.find((member) => member.kind === kind)
  }

  #thawLater({ role }: Member, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      role.process.kill('SIGCONT')
    }, ms)
    this.#timers.add(timer)
  }

  #ended(member: Member): void {
    const { kind, nth, role } = member
    if (this.#dismissed) return
    const wasOurs = this.#members.includes(member)
    this.#members = this.#members.filter((other) => other !== member)
    this.#note({ died: kind, nth, passed: role.process.signalCode === 'SIGKILL' ? lastPassed(role.output()) : null })
    if (!wasOurs) return
    const replacing = this.start(kind).finally(() => this.#replacing.delete(replacing))
    this.#replacing.add(replacing)
  }

  /** Nobody is noted or replaced any more; the stack's own end ends all of them. */
  async dismiss(): Promise<void> {
    this.#dismissed = true
    await Promise.all(this.#replacing)
  }
}

function lastPassed(output: string): Passed {
  const told = [...output.matchAll(/^failpoint (\S+) pass (\d+): /gm)].at(-1)
  return told?.[1] === undefined ? null : { at: told[1] as Failpoint, pass: Number(told[2]) }
}
