import { execFile } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { nodeArguments } from '../entry.ts'
import { describeEnd, startChild, type LogLine } from './child.ts'
import { takeLock } from './pid-lock.ts'

const VERSION = 'v1.5.1'
const MODULE = `github.com/temporalio/cli/cmd/temporal@${VERSION}`
/** First server with Updates, user metadata and conflict policies switched on by default. */
const OLDEST_SERVER = [1, 27] as const
const DOWNLOAD_MS = 5 * 60_000
const BUILD_MS = 25 * 60_000

interface Search {
  /** TAILRACE_TEMPORAL_BINARY; when it is set nothing else is tried. */
  readonly configured: string | null
  readonly env: Readonly<Record<string, string | undefined>>
  /** For the user: what takes long and why. */
  readonly tell: LogLine
  /** Ends a download or a build early. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A Temporal CLI that can run the dev server: the configured one, `temporal` on PATH, the user's cache, the SDK's own download,
 * a build by Go. The last two fill the cache; of several processes that need it one works and the others wait.
 */
export async function findTemporalBinary(search: Search): Promise<string> {
  if (search.configured !== null) {
    const trouble = await unusable(search.configured)
    if (trouble !== null) throw new Error(`TAILRACE_TEMPORAL_BINARY names a program that cannot be used: ${trouble}`)
    return search.configured
  }
  const tried: string[] = []
  for (const folder of (search.env['PATH'] ?? '').split(delimiter).filter((part) => part !== '')) {
    const path = join(folder, `temporal${process.platform === 'win32' ? '.exe' : ''}`)
    if (!(await isProgram(path))) continue
    const trouble = await unusable(path)
    if (trouble === null) return path
    tried.push(`${path}: ${trouble}`)
  }
  if (tried.length === 0) tried.push('temporal on PATH: not there')
  const folder = join(search.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tailrace', `temporal-${VERSION.slice(1)}`)
  return fillCache(folder, tried, search)
}

async function fillCache(folder: string, tried: string[], search: Search): Promise<string> {
  const cached = join(folder, 'temporal')
  await mkdir(folder, { recursive: true })
  const deadline = performance.now() + BUILD_MS + DOWNLOAD_MS
  for (let told = false; performance.now() < deadline;) {
    if (await isProgram(cached)) return cached
    search.signal?.throwIfAborted()
    const lock = await takeLock(join(folder, 'lock'))
    if ('heldBy' in lock) {
      if (!told) search.tell(`Process ${lock.heldBy} is getting Temporal's CLI; waiting for it.`)
      told = true
      await sleep(500)
      continue
    }
    try {
      if (await isProgram(cached)) return cached
      await rm(join(folder, 'work'), { recursive: true, force: true })
      await mkdir(join(folder, 'work'))
      await obtain(folder, cached, [...tried, `${cached}: not there`], search)
      return cached
    } finally {
      await rm(join(folder, 'work'), { recursive: true, force: true })
      await lock.release()
    }
  }
  throw new Error(`another process has been getting Temporal's CLI into ${folder} for half an hour: stop it and start again`)
}

/** Puts the CLI at `cached`, by one rename, or throws with all that was tried. */
async function obtain(folder: string, cached: string, tried: string[], search: Search): Promise<void> {
  const ways = [
    { name: "the SDK's own download", make: (into: string) => download(into, search) },
    { name: `go install ${MODULE}`, make: (into: string) => build(into, search) },
  ]
  for (const way of ways) {
    const into = await mkdtemp(join(folder, 'work', 'get-'))
    const trouble = await way.make(into)
    const made = await largestFile(into)
    if (trouble === null && made !== null) {
      const broken = await unusable(made)
      if (broken === null) return rename(made, cached)
      tried.push(`${way.name}: ${broken}`)
    } else tried.push(`${way.name}: ${trouble ?? 'brought no file'}`)
  }
  throw new Error(
    [
      'No Temporal server could be started on this machine. Tried:',
      ...tried.map((line) => `  ${line}`),
      'Install the Temporal CLI (https://docs.temporal.io/cli) on PATH or name it in TAILRACE_TEMPORAL_BINARY, or install Go, or set TEMPORAL_ADDRESS.',
    ].join('\n'),
  )
}

function download(into: string, search: Search): Promise<string | null> {
  return outcome(
    process.execPath,
    [...nodeArguments('embedded/temporal-download'), into, VERSION],
    { ...search.env },
    DOWNLOAD_MS,
    search.signal,
  )
}

async function build(into: string, search: Search): Promise<string | null> {
  const go = await promisify(execFile)('go', ['version'], { env: { ...search.env } }).then(
    () => true,
    () => false,
  )
  if (!go) return 'no Go on PATH'
  search.tell(`Building Temporal's CLI once (go install ${MODULE}); this takes about 3 minutes and is kept in the cache.`)
  return outcome('go', ['install', MODULE], { ...search.env, GOBIN: into, GOFLAGS: '' }, BUILD_MS, search.signal)
}

/** Null when the program ended well, else its last words. */
async function outcome(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  patienceMs: number,
  signal?: AbortSignal,
): Promise<string | null> {
  const child = startChild(command, args, { env, orphanSignal: 'INT', log: () => {} })
  const stop = (): void => void child.stop('SIGINT', 5000)
  const timer = setTimeout(stop, patienceMs)
  signal?.addEventListener('abort', stop, { once: true })
  const end = await child.ended
  clearTimeout(timer)
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
  if (end.code === 0) return null
  const telling = /error|fail|cannot|denied|unable|not found|lookup/i
  const words = child
    .lastLines()
    .split('\n')
    .find((line) => telling.test(line))
  return `${describeEnd(end)}${words === undefined ? '' : `, ${words.trim().slice(0, 300)}`}`
}

async function largestFile(folder: string): Promise<string | null> {
  const files = await Promise.all(
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return { path, size: (await stat(path)).size }
      }),
  )
  return files.sort((a, b) => b.size - a.size)[0]?.path ?? null
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    async () => (await stat(path)).isFile(),
    () => false,
  )
}

/** Why this is not a Temporal CLI with a recent server; null if it is. */
async function unusable(path: string): Promise<string | null> {
  if (!(await isProgram(path))) return `${path} is not an executable file`
  const text = await promisify(execFile)(path, ['--version'], { timeout: 20_000 }).then(
    (out) => out.stdout,
    () => '',
  )
  const version = /Server (\d+)\.(\d+)/.exec(text)
  if (version === null) return `${path} --version does not name a Temporal server`
  const [major, minor] = [Number(version[1]), Number(version[2])]
  if (major > OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor >= OLDEST_SERVER[1])) return null
  return `brings server ${major}.${minor}, ${OLDEST_SERVER.join('.')} is needed`
}
