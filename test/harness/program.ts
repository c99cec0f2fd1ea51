import assert from 'node:assert/strict'
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from './eventually.ts'

/** A Node process under test and all that it printed. */
export interface Program {
  readonly pid: number
  readonly process: ChildProcess
  stdout(): string
  stderr(): string
  kill(signal: NodeJS.Signals): void
  /** The first line of stdout, parsed; rejects if the program ends before it. */
  firstJson<T>(): Promise<T>
  /** Resolves once stderr or stdout matches; rejects if the program ends before. */
  says(pattern: RegExp): Promise<RegExpExecArray>
}

/** Starts `node …args` in the project's folder. */
export function startProgram(args: readonly string[], options: Pick<SpawnOptions, 'env' | 'cwd' | 'uid' | 'gid'> = {}): Program {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const until = <T>(found: () => T | null): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const value = found()
        if (value !== null) resolve(value)
      }
      child.stdout.on('data', look)
      child.stderr.on('data', look)
      child.once('close', (code) =>
        reject(new Error(`the program ended with ${code} before it said what was waited for:\n${stdout}\n${stderr}`)),
      )
      look()
    })
  return {
    pid: child.pid ?? 0,
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal) => void child.kill(signal),
    firstJson: <T>() => until(() => (stdout.includes('\n') ? (JSON.parse(stdout.slice(0, stdout.indexOf('\n'))) as T) : null)),
    says: (pattern) => until(() => pattern.exec(stderr) ?? pattern.exec(stdout)),
  }
}

export async function endOf(program: Program): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
  const { exitCode, signalCode } = program.process
  if (exitCode === null && signalCode === null) await once(program.process, 'close')
  return { code: program.process.exitCode, signal: program.process.signalCode }
}

/** Waits until the program's metrics port says that it is ready; fails if it ends before. */
export async function ready(program: Program, metricsPort: number): Promise<void> {
  await eventually('readiness', async () => {
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => null)
    assert.equal(program.process.exitCode, null, program.stderr())
    return answer?.ok === true
  })
}
