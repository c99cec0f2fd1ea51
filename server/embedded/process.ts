import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The arguments of a live process, the program first; null if there is none (a zombie counts as none). */
export async function commandLine(pid: number): Promise<string[] | null> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return text === '' ? null : text.replace(/\0$/, '').split('\0')
  }
  const text = await run('ps', ['-o', 'args=', '-p', String(pid)]).then(
    (out) => out.stdout.trim(),
    () => '',
  )
  return text === '' ? null : text.split(' ')
}

/** What tells this process from a later one that was given the same pid; null if there is none. */
export async function identity(pid: number): Promise<string | null> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    // Fields after the command name, which is in brackets and may hold anything: state is 0, start time is 19 of them.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === undefined || fields[0] === '' || fields[0] === 'Z' ? null : (fields[19] ?? null)
  }
  return run('ps', ['-o', 'lstart=', '-p', String(pid)]).then(
    (out) => out.stdout.trim().replaceAll(/\s+/g, '_') || null,
    () => null,
  )
}

/** Sends `signal`, waits for the end, and kills after `patienceMs`. Does nothing if the process is not there. */
export async function stopProcess(pid: number, signal: NodeJS.Signals, patienceMs: number): Promise<void> {
  const who = await identity(pid)
  if (who === null) return
  for (const [step, waitMs] of [
    [signal, patienceMs],
    ['SIGKILL', 5000],
  ] as const) {
    try {
      process.kill(pid, step)
    } catch {
      return
    }
    const deadline = performance.now() + waitMs
    while (performance.now() < deadline) {
      if ((await identity(pid)) !== who) return
      await sleep(20)
    }
  }
  throw new Error(`process ${pid} does not end, not even by SIGKILL`)
}
