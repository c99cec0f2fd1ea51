import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { createInterface } from 'node:readline'

export type LogLine = (line: string) => void

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The program could not be started at all. */
  readonly error: Error | null
}

/** A process of ours with its last lines of output, so that its end can be explained. */
export interface Child {
  readonly process: ChildProcess
  readonly pid: number | undefined
  /** Never rejects. */
  readonly ended: Promise<Ended>
  hasEnded(): boolean
  lastLines(): string
  /** `signal`, then SIGKILL after `patienceMs`; resolves when the process is gone. Idempotent. */
  stop(signal: NodeJS.Signals, patienceMs: number): Promise<void>
}

const KEPT_LINES = 20

interface ChildOptions extends SpawnOptions {
  readonly log: LogLine
  /** Sent to it when we are gone without having stopped it, for programs that would not notice. */
  readonly orphanSignal?: 'INT' | 'TERM' | 'KILL'
}

/**
 * Starts a program in a process group of its own, so that Ctrl-C in a terminal reaches only us and we stop it in order.
 * A program that cannot be started shows up in `ended`, not as an exception.
 */
export function startChild(command: string, args: readonly string[], options: ChildOptions): Child {
  const { log, orphanSignal, ...rest } = options
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...rest })
  const last: string[] = []
  let over = false
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      last.push(line)
      if (last.length > KEPT_LINES) last.shift()
      log(line)
    })
  }
  const ended = new Promise<Ended>((resolve) => {
    const end = (result: Ended): void => {
      over = true
      resolve(result)
    }
    child.once('error', (error) => end({ code: null, signal: null, error }))
    // Not only 'close': a grandchild that holds the pipe open would keep the end from being seen.
    child.once('exit', (code, signal) => setTimeout(() => end({ code, signal, error: null }), 250))
    child.once('close', (code, signal) => end({ code, signal, error: null }))
  })
  if (orphanSignal !== undefined && child.pid !== undefined) watchOver(child.pid, orphanSignal, ended)
  return {
    process: child,
    pid: child.pid,
    ended,
    hasEnded: () => over,
    lastLines: () => last.join('\n'),
    async stop(signal, patienceMs) {
      if (over) return
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
      await ended
      clearTimeout(timer)
    },
  }
}

/** A shell that waits for our end, which closes its stdin whatever ended us; SIGKILL leaves no other way. */
function watchOver(pid: number, signal: string, ended: Promise<Ended>): void {
  if (process.platform === 'win32') return
  const script = 'read -r line || kill -s "$1" "$2"'
  const watch = spawn('/bin/sh', ['-c', script, 'sh', signal, String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  watch.once('error', () => {})
  watch.stdin.once('error', () => {})
  watch.unref()
  void ended.then(() => watch.kill('SIGKILL'))
}

export function describeEnd(end: Ended): string {
  if (end.error !== null) return `could not be started: ${end.error.message}`
  return end.signal === null ? `ended with code ${end.code}` : `was ended by ${end.signal}`
}
