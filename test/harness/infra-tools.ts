import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describeEnd, startChild } from '../../server/embedded/child.ts'
import { takeLock } from '../../server/embedded/pid-lock.ts'

const MODULE = 'infra/tools'

/** Where the programs of infra/tools/go.mod are, or why this machine has none. */
type InfraTools = { readonly folder: string } | { readonly missing: string }

/**
 * Builds helm, helm-unittest, promtool and compose-go's checker into the user's cache, once per version of go.mod. About three
 * minutes on two idle cores; of several processes that need them one builds and the others wait.
 */
export async function infraTools(tell: (line: string) => void = () => {}): Promise<InfraTools> {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum']) hash.update(await readFile(join(MODULE, file)))
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tailrace')
  const folder = join(cache, `infra-tools-${hash.digest('hex').slice(0, 12)}`)
  await mkdir(cache, { recursive: true })
  for (;;) {
    if (await exists(folder)) return { folder }
    const lock = await takeLock(`${folder}.lock`)
    if ('heldBy' in lock) {
      await sleep(500)
      continue
    }
    try {
      return (await exists(folder)) ? { folder } : await build(folder, tell)
    } finally {
      await lock.release()
    }
  }
}

/**
 * Runs one of the programs: what it printed. Null where there is none; the test is skipped then, with the reason. Fails the test with
 * the program's own words.
 */
export async function runTool(
  t: TestContext,
  name: 'cmd' | 'helm' | 'helm-unittest' | 'promtool',
  ...args: string[]
): Promise<string | null> {
  const tools = await (found ??= infraTools())
  if ('missing' in tools) {
    t.skip(tools.missing)
    return null
  }
  try {
    return (await promisify(execFile)(join(tools.folder, name), args, { maxBuffer: 1e8 })).stdout
  } catch (error) {
    const words = error instanceof Error && 'stdout' in error ? [error.stdout, error.message].join('\n') : String(error)
    assert.fail(words)
  }
}

let found: Promise<InfraTools> | null = null

async function build(folder: string, tell: (line: string) => void): Promise<InfraTools> {
  const into = `${folder}.new`
  await rm(into, { recursive: true, force: true })
  tell(`Building Helm, helm-unittest, promtool and compose-go once (go install tool, in ${MODULE}); about 3 minutes, kept in the cache.`)
  // Without the service discoveries promtool is half as large; it never discovers anything here.
  const args = ['install', '-trimpath', '-ldflags=-s -w', '-tags=remove_all_sd', 'tool']
  const env = { ...process.env, GOBIN: into, GOFLAGS: '', CGO_ENABLED: '0' }
  const go = startChild('go', args, { cwd: MODULE, env, orphanSignal: 'INT', log: () => {} })
  const end = await go.ended
  if (end.code !== 0) {
    await rm(into, { recursive: true, force: true })
    return { missing: `no Helm, promtool, compose-go: go install ${describeEnd(end)} ${go.lastLines().split('\n').at(-1) ?? ''}`.trim() }
  }
  await rename(into, folder)
  return { folder }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
