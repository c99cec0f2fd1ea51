import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { firstMessage, stopChild } from './child.ts'

export const CLI = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const EVENT_LOOP = new URL('./event-loop.mjs', import.meta.url).href
/** Of the kernel's clock in /proc, on every Linux that Node runs on. */
const TICKS_A_SECOND = 100

/** A worker of the compiled product, as it runs anywhere else. What it tells of itself is null where there is no /proc. */
export interface BenchWorker {
  /** Peak of its resident memory so far in MB (VmHWM). */
  peakRssMb(): Promise<number | null>
  /** User and system time that it has used so far. */
  cpuSeconds(): Promise<number | null>
  /** How long its event loop was held up since it was ready or last asked; milliseconds. */
  eventLoop(): Promise<{ p999Ms: number; maxMs: number }>
  stop(): Promise<void>
}

export async function startBenchWorker(env: Record<string, string>, profile: string | null): Promise<BenchWorker> {
  const execArgv = ['--import', EVENT_LOOP, ...(profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`])]
  const worker = fork(CLI, ['worker'], { env, execArgv, stdio: ['ignore', 2, 2, 'ipc'] })
  const stop = (): Promise<void> => stopChild(worker, 'SIGTERM')
  try {
    await firstMessage(worker, 'the worker')
  } catch (error) {
    await stop()
    throw error
  }
  const eventLoop = async (): Promise<{ p999Ms: number; maxMs: number }> => {
    const answer = once(worker, 'message')
    worker.send('event-loop')
    const [{ p999Ms, maxMs }] = (await answer) as [{ p999Ms: number; maxMs: number }]
    return { p999Ms, maxMs }
  }
  // Loading its modules is not what is measured.
  await eventLoop()
  return {
    stop,
    eventLoop,
    async peakRssMb() {
      const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(await proc(worker, 'status')) ?? []
      return kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024)
    },
    async cpuSeconds() {
      const stat = await proc(worker, 'stat')
      if (stat === '') return null
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
    },
  }
}

function proc(worker: ChildProcess, file: string): Promise<string> {
  return readFile(`/proc/${worker.pid ?? 0}/${file}`, 'utf8').catch(() => '')
}
