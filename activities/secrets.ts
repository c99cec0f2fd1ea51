import { constants } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { ConnectorError } from '../connectors/errors.ts'
import { isObject } from '../connectors/json-object.ts'
import { isOwnSetting, parseReferences, type Reference } from './references.ts'

export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `${file:…}` reads below this folder only, links resolved. */
  readonly secretsDir: string
}

/** A secret or a bundle of certificates is far smaller; something else was named by mistake. */
const MAX_FILE_BYTES = 1_048_576

/**
 * The configuration with every reference replaced by what it stands for now; a rotated file needs no restart. For workers only.
 * With the connector's `schema`, text that came from a reference becomes the number or boolean that its field wants. What was
 * resolved is not looked into again. Throws ConnectorError `config` that names every reference that cannot be resolved, never a
 * value: variable unset or empty, file missing or empty, one of our own settings, a file outside the secrets folder.
 */
export async function resolveReferences(
  config: Readonly<Record<string, unknown>>,
  sources: SecretSources,
  schema?: TSchema,
): Promise<Record<string, unknown>> {
  const problems: string[] = []
  const resolved = await resolveObject(config, 'config', sources, problems)
  if (problems.length > 0) throw new ConnectorError('config', problems.join('; '))
  if (schema === undefined) return resolved
  const converted: unknown = Value.Convert(schema, resolved)
  return isObject(converted) ? converted : resolved
}

/** One string (a notification's address or secret), by the same rules. `name` is how messages call it. */
export async function resolveText(name: string, text: string, sources: SecretSources): Promise<string> {
  const problems: string[] = []
  const resolved = await resolveString(text, name, sources, problems)
  if (problems.length > 0) throw new ConnectorError('config', problems.join('; '))
  return resolved
}

async function resolveObject(
  value: Readonly<Record<string, unknown>>,
  path: string,
  sources: SecretSources,
  problems: string[],
): Promise<Record<string, unknown>> {
  const entries: [string, unknown][] = []
  for (const [key, item] of Object.entries(value)) entries.push([key, await resolveValue(item, `${path}.${key}`, sources, problems)])
  return Object.fromEntries(entries)
}

async function resolveValue(value: unknown, path: string, sources: SecretSources, problems: string[]): Promise<unknown> {
  if (typeof value === 'string') return resolveString(value, path, sources, problems)
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const [index, item] of value.entries()) items.push(await resolveValue(item, `${path}.${index}`, sources, problems))
    return items
  }
  return isObject(value) ? resolveObject(value, path, sources, problems) : value
}

async function resolveString(text: string, path: string, sources: SecretSources, problems: string[]): Promise<string> {
  const parsed = parseReferences(text)
  problems.push(...parsed.problems.map((problem) => `${path}: ${problem}`))
  const texts: string[] = []
  for (const piece of parsed.pieces) {
    if (typeof piece === 'string') texts.push(piece)
    else {
      const found = piece.scheme === 'env' ? readVariable(piece, sources) : await readSecretFile(piece, sources)
      if ('problem' in found) problems.push(`${path}: ${found.problem}`)
      else texts.push(found.text)
    }
  }
  return texts.join('')
}

type Found = { readonly text: string } | { readonly problem: string }

function readVariable({ target, text }: Reference, { env }: SecretSources): Found {
  const value = env[target]
  if (value === undefined) return { problem: `${text}: the environment variable ${target} is not set on the worker` }
  return value === '' ? { problem: `${text}: the environment variable ${target} is empty on the worker` } : { text: value }
}

async function readSecretFile({ target, text }: Reference, sources: SecretSources): Promise<Found> {
  const secretsDir = resolve(sources.secretsDir)
  const outside = `${text} is refused: only files below ${secretsDir} (TAILRACE_SECRETS_DIR) may be read`
  // Said before anything is looked up: the answer must not tell which files exist elsewhere.
  if (!isBelow(target, secretsDir)) return { problem: outside }
  try {
    const path = await realpath(target)
    if (!isBelow(path, await realpath(secretsDir))) return { problem: outside }
    if (await isOwnFile(path, sources.env)) return { problem: `${text} is refused: the file holds one of Tailrace's own settings` }
    return await readRegularFile(path, text)
  } catch (error) {
    const code = isObject(error) && typeof error['code'] === 'string' ? error['code'] : 'unreadable'
    return {
      problem: `${text}: ${code === 'ENOENT' ? 'there is no such file on the worker' : `the file cannot be read on the worker (${code})`}`,
    }
  }
}

async function readRegularFile(path: string, text: string): Promise<Found> {
  // Without O_NONBLOCK opening a named pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = await file.stat()
    if (!found.isFile()) return { problem: `${text}: this is not a file` }
    if (found.size > MAX_FILE_BYTES) return { problem: `${text}: the file is larger than 1 MiB` }
    const content = (await file.readFile('utf8')).replace(/\r?\n$/, '')
    return content === '' ? { problem: `${text}: the file is empty` } : { text: content }
  } finally {
    await file.close()
  }
}

/** `DATABASE_URL_FILE` and its like may well lie in the same folder; hard links to them count as well. */
async function isOwnFile(path: string, env: SecretSources['env']): Promise<boolean> {
  const wanted = await stat(path)
  for (const [name, value] of Object.entries(env)) {
    if (!value?.startsWith('/') || !isOwnSetting(name)) continue
    const own = await stat(value).catch(() => null)
    if (own?.ino === wanted.ino && own.dev === wanted.dev) return true
  }
  return false
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}
