import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { identity } from '../../server/embedded/process.ts'

/** A process by pid and start, so that a later one with the same pid is not taken for it. */
export interface Process {
  readonly pid: number
  readonly who: string
  readonly command: string
}

/** All live descendants of a process. Linux only. */
export async function descendants(ancestor: number): Promise<Process[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => null)
    if (stat !== null) parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const found: Process[] = []
  const generation = [ancestor]
  for (let parent = generation.shift(); parent !== undefined; parent = generation.shift()) {
    for (const [pid, itsParent] of parents) {
      if (itsParent !== parent) continue
      generation.push(pid)
      const who = await identity(pid)
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
      if (who !== null) found.push({ pid, who, command })
    }
  }
  return found
}

/** Waits until all are gone; what is still there after `patienceMs` is returned. */
export async function survivors(processes: readonly Process[], patienceMs = 30_000): Promise<Process[]> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const now = await Promise.all(processes.map(({ pid }) => identity(pid)))
    const alive = processes.filter(({ who }, i) => now[i] === who)
    if (alive.length === 0 || performance.now() > deadline) return alive
    await sleep(50)
  }
}
