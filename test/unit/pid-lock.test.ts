import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { recordPid, takeLock } from '../../server/embedded/pid-lock.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tailrace-lock-'))
})
after(() => rm(folder, { recursive: true, force: true }))

test('one of several gets the lock, the others hear who has it, and released it is free', async () => {
  const path = join(folder, 'a')
  const taken = await Promise.all([1, 2, 3, 4, 5].map(() => takeLock(path)))
  const locks = taken.filter((lock) => 'release' in lock)
  assert.equal(locks.length, 1)
  for (const lock of taken) if ('heldBy' in lock) assert.equal(lock.heldBy, process.pid)
  await locks[0]?.release()
  assert.deepEqual(await readdir(folder), [])
  assert.ok('release' in (await takeLock(path)))
})

test('a lock whose holder is dead, or whose pid another process was given since, is taken over by one', async () => {
  const path = join(folder, 'b')
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  assert.ok(child.pid !== undefined)
  await recordPid(path, child.pid)
  assert.deepEqual(await takeLock(path), { heldBy: child.pid })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const taken = await Promise.all([1, 2, 3, 4, 5].map(() => takeLock(path)))
  assert.equal(taken.filter((lock) => 'release' in lock).length, 1)

  const reused = join(folder, 'c')
  await writeFile(reused, `${process.pid} 1 another life\n`)
  assert.ok('release' in (await takeLock(reused)))
})

test('releasing does not remove a lock that somebody else holds by now', async () => {
  const path = join(folder, 'd')
  const lock = await takeLock(path)
  assert.ok('release' in lock)
  await writeFile(path, 'another')
  await lock.release()
  assert.equal(await readFile(path, 'utf8'), 'another')
})
