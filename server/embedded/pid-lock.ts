import { randomBytes } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { identity } from './process.ts'

export interface PidLock {
  release(): Promise<void>
}

/**
 * A lock that dies with its holder. Returns the lock, or the pid of the live process that has it. The folder must exist.
 */
export async function takeLock(path: string): Promise<PidLock | { readonly heldBy: number }> {
  const own = `${process.pid} ${(await identity(process.pid)) ?? ''} ${randomBytes(8).toString('hex')}\n`
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(draft, own, { mode: 0o644 })
  try {
    for (;;) {
      // A link appears whole or not at all, so nobody ever reads an empty lock.
      if (await succeeds(link(draft, path), 'EEXIST')) return { release: () => release(path, own) }
      const held = await readFile(path, 'utf8').catch(() => null)
      if (held === null) continue
      const holder = await livePid(held)
      if (holder !== null) return { heldBy: holder }
      await removeStale(path, held, draft)
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** Written by `recordPid` or by a lock: the pid if that very process is still alive, else null. */
export async function livePid(text: string): Promise<number | null> {
  const [pid, who] = text.trim().split(' ')
  const now = pid === undefined || !/^\d+$/.test(pid) ? null : await identity(Number(pid))
  return now !== null && now === who ? Number(pid) : null
}

export async function recordPid(path: string, pid: number): Promise<void> {
  await writeFile(path, `${pid} ${(await identity(pid)) ?? ''}\n`)
}

/**
 * Only whoever holds the guard removes a stale lock, and only the very one that was seen: without it, of two that saw it stale
 * the slower one would remove the fresh lock of the faster.
 */
async function removeStale(path: string, seen: string, draft: string): Promise<void> {
  const guard = `${path}.takeover`
  if (!(await succeeds(link(draft, guard), 'EEXIST'))) {
    const holder = await readFile(guard, 'utf8').catch(() => '')
    if (holder !== '' && (await livePid(holder)) === null) await rm(guard, { force: true })
    await sleep(5)
    return
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => null)) === seen) await rm(path, { force: true })
  } finally {
    await rm(guard, { force: true })
  }
}

async function release(path: string, own: string): Promise<void> {
  const held = await readFile(path, 'utf8').catch(() => '')
  if (held === own) await rm(path, { force: true })
}

async function succeeds(step: Promise<void>, expected: string): Promise<boolean> {
  try {
    await step
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === expected) return false
    throw error
  }
}
