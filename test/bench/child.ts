import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Longest that a single measurement may take. */
const LIMIT_MS = 30 * 60_000

/** A TypeScript file of this folder as a process of its own; it ends when we are gone (see `endWithParent`). */
export function forkScript(path: URL, input: object): ChildProcess {
  return fork(path, [JSON.stringify(input)], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** The first message of a process; rejects when it ends before, and when the time is up. */
export async function firstMessage(child: ChildProcess, what: string): Promise<Record<string, unknown>> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${LIMIT_MS / 60_000} minutes`)), LIMIT_MS)
  })
  const gone = once(child, 'exit').then(() =>
    Promise.reject(new Error(`${what} ended with ${String(child.exitCode ?? child.signalCode)} before it said anything`)),
  )
  gone.catch(() => undefined)
  try {
    const message: unknown = await Promise.race([new Promise((resolve) => child.once('message', resolve)), gone, late])
    if (typeof message === 'object' && message !== null) return { ...message }
    throw new Error(`${what} said something that is no object`)
  } finally {
    clearTimeout(timer)
  }
}

/** Runs a script to its end; the seconds that it measured itself, without the start of the process. */
export async function measured(path: URL, input: object, what: string): Promise<number> {
  const child = forkScript(path, input)
  try {
    const { seconds } = await firstMessage(child, what)
    if (typeof seconds === 'number') return seconds
    throw new Error(`${what} did not say how long it took`)
  } finally {
    await stopChild(child, 'SIGTERM')
  }
}

/** `signal`, then SIGKILL after 30 s; resolves when the process is gone. Idempotent. */
export async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  await gone
  clearTimeout(timer)
}

/** For the scripts: what they were told to do. They end when the bench does. */
export function scriptInput<T>(read: (input: Record<string, unknown>) => T): T {
  process.once('disconnect', () => process.exit(1))
  const input: unknown = JSON.parse(process.argv[2] ?? '{}')
  return read(typeof input === 'object' && input !== null ? { ...input } : {})
}
