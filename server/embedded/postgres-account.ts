import { execFile } from 'node:child_process'
import { chmod, chown, mkdir } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: then the account `postgres`, made if there is none. null: run as ourselves. */
export async function postgresAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  const found = await findAccount()
  if (found !== null) return found
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--home-dir', '/', '--shell', '/usr/sbin/nologin', 'postgres'])
  } catch (cause) {
    throw new Error(
      'PostgreSQL cannot run as root and the account `postgres` cannot be made: run Tailrace as another user, or set DATABASE_URL',
      { cause },
    )
  }
  const made = await findAccount()
  if (made === null) throw new Error('the account `postgres` was made but cannot be found')
  return made
}

async function findAccount(): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)))
    return uid === undefined || gid === undefined ? null : { uid, gid }
  } catch {
    return null
  }
}

/**
 * Makes a folder that the account owns. Folders made on the way let others pass, whatever the umask; folders that were there
 * are left as they are.
 */
export async function makeFolder(folder: string, account: Account | null): Promise<void> {
  const path = resolve(folder)
  await makePassable(path)
  if (account !== null) await chown(path, account.uid, account.gid)
  await chmod(path, 0o700)
}

/** Makes the folder and what is missing above it; as root, so that another account may pass through. */
export async function makePassable(folder: string): Promise<void> {
  const path = resolve(folder)
  const first = await mkdir(path, { recursive: true })
  if (first === undefined || process.getuid?.() !== 0) return
  for (let at = path; at.length >= first.length; at = dirname(at)) await chmod(at, 0o711)
}

/** How a program is started as the account: what to put before it, and the spawn options. */
export interface Launch {
  readonly prefix: readonly string[]
  readonly options: Partial<Account>
}

/**
 * A way to start programs as the account so that they reach all of `paths`. Below a folder that only root may enter (a project in
 * /root) that takes a capability to pass through folders, given by setpriv. Throws, naming the folder, if there is no way.
 */
export async function findLaunch(account: Account | null, paths: readonly string[]): Promise<Launch> {
  if (account === null) return { prefix: [], options: {} }
  const plain = { prefix: [], options: account }
  if (await reaches(plain, paths)) return plain
  // Containers usually keep dac_override and drop the narrower dac_read_search.
  for (const capability of ['dac_read_search', 'dac_override']) {
    const grant = [`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`]
    const launch = { prefix: ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', ...grant], options: {} }
    if (await reaches(launch, paths)) return launch
  }
  const blocked = await firstBlocked(plain, paths)
  throw new Error(
    `As root, PostgreSQL runs as the account postgres, and ${blocked} is closed to it: run \`chmod o+x ${blocked}\`, put project and --data-dir where others may enter, run Tailrace as another user than root, or set DATABASE_URL`,
  )
}

async function firstBlocked(launch: Launch, paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const parts = relative(sep, resolve(path)).split(sep)
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const at = join(sep, ...parts.slice(0, depth))
      if (!(await reaches(launch, [at]))) return at
    }
  }
  return paths.join(', ')
}

/** Asks the kernel as that account, which sees access lists and mount options too. */
function reaches(launch: Launch, paths: readonly string[]): Promise<boolean> {
  const probe = [...launch.prefix, '/bin/sh', '-c', 'for path; do test -x "$path" || exit 1; done', 'sh', ...paths]
  return run(probe[0] ?? '', probe.slice(1), { ...launch.options, cwd: '/' }).then(
    () => true,
    () => false,
  )
}
