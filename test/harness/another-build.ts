import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

/** A text of a source file, which must stand there once, and what takes its place. */
export interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

/** What scripts/build.mjs reads. */
const SOURCES = ['activities', 'connectors', 'server', 'state', 'workflows', 'scripts', 'package.json', 'package-lock.json']
const COMPILER = ['tsconfig.json', 'tsconfig.build.json']

/** Another build of the product: these sources with the edits, built by the project's own build in a folder of its own. */
export async function buildAnother(edits: readonly Edit[]): Promise<{ readonly cli: string; drop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-build-'))
  for (const name of [...SOURCES, ...COMPILER]) await cp(name, join(folder, name), { recursive: true })
  // Package by package, because the build links its command beside them.
  await mkdir(join(folder, 'node_modules'))
  for (const name of await readdir('node_modules'))
    if (!name.startsWith('.')) await symlink(resolve('node_modules', name), join(folder, 'node_modules', name))
  await mkdir(join(folder, 'node_modules/.bin'))
  for (const { file, from, to } of edits) {
    const parts = (await readFile(join(folder, file), 'utf8')).split(from)
    assert.equal(parts.length, 2, `${file} has this ${parts.length - 1} times: ${from}`)
    await writeFile(join(folder, file), parts.join(to))
  }
  // As `npm ci` builds.
  const env = { ...process.env, npm_lifecycle_event: 'prepare' }
  await promisify(execFile)(process.execPath, ['scripts/build.mjs'], { cwd: folder, env })
  return { cli: join(folder, 'dist/server/main.js'), drop: () => rm(folder, { recursive: true }) }
}
