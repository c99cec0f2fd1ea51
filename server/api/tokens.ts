import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { parse } from 'yaml'
import { CliError, EXIT } from '../cli/exit.ts'
import type { OidcTokens } from './oidc.ts'
import { Problem } from './problem.ts'
import { SCOPES, type Principal } from './scope.ts'

interface TokenSources {
  readonly token: string | null
  readonly file: string | null
  readonly oidc?: OidcTokens | null
}

interface Entry extends Principal {
  readonly sha256: Buffer
}

/**
 * Bearer tokens: one from the environment that may do everything, those of a file, which is read again when it changes, and those that
 * an OpenID Connect issuer signed. Only hashes are kept. While the file is broken or gone nobody of it gets in.
 */
export class TokenStore {
  readonly #own: readonly Entry[]
  readonly #file: string | null
  readonly #oidc: OidcTokens | null
  #read: { readonly stamp: string; readonly entries: readonly Entry[] } = { stamp: '', entries: [] }

  private constructor({ token, file, oidc = null }: TokenSources) {
    this.#own = token === null ? [] : [{ name: 'TAILRACE_API_TOKEN', sha256: hash(token), scopes: new Set(SCOPES) }]
    this.#file = file
    this.#oidc = oidc
  }

  /** Throws CliError for a file that cannot be used. */
  static async open(sources: TokenSources): Promise<TokenStore> {
    const store = new TokenStore(sources)
    try {
      await store.#entries()
    } catch (cause) {
      throw new CliError(EXIT.configuration, `TAILRACE_API_TOKENS_FILE cannot be used: ${reason(cause)}`, { cause })
    }
    return store
  }

  /** Null: nobody's token. Hashes are compared in constant time. Throws Problem while the file or the issuer's keys cannot be had. */
  async find(token: string): Promise<Principal | null> {
    const presented = hash(token)
    let found: Entry | null = null
    for (const entry of [...this.#own, ...(await this.#current())]) {
      if (timingSafeEqual(entry.sha256, presented)) found = entry
    }
    return found ?? (await this.#oidc?.find(token)) ?? null
  }

  async #current(): Promise<readonly Entry[]> {
    try {
      return await this.#entries()
    } catch (cause) {
      throw new Problem({
        status: 503,
        code: 'tokens_file',
        detail: `the file of TAILRACE_API_TOKENS_FILE cannot be used: ${reason(cause)}`,
        cause,
      })
    }
  }

  async #entries(): Promise<readonly Entry[]> {
    if (this.#file === null) return []
    // A mounted secret is swapped by a link, which changes the inode.
    const { ino, mtimeMs, size } = await stat(this.#file)
    const stamp = `${ino} ${mtimeMs} ${size}`
    if (stamp !== this.#read.stamp) this.#read = { stamp, entries: readEntries(await readFile(this.#file, 'utf8')) }
    return this.#read.entries
  }
}

class TokensFileError extends Error {}

function readEntries(text: string): Entry[] {
  const list: unknown = parse(text)
  if (!Array.isArray(list)) throw new TokensFileError('it must be a list of {name, sha256, scopes}')
  return list.map((item: unknown, i) => readEntry(item, i + 1))
}

function readEntry(item: unknown, position: number): Entry {
  const { name, sha256, scopes, ...others } = typeof item === 'object' && item !== null ? (item as Record<string, unknown>) : {}
  const fault = (rule: string) => new TokensFileError(`entry ${position}${typeof name === 'string' ? ` (${name})` : ''} ${rule}`)
  if (typeof name !== 'string' || name === '') throw fault('needs a name')
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256))
    throw fault('needs sha256, the 64 hexadecimal digits of the token’s SHA-256')
  if (!Array.isArray(scopes)) throw fault(`needs scopes, a list of ${SCOPES.join(', ')}`)
  const known = SCOPES.filter((scope) => scopes.includes(scope))
  if (known.length !== scopes.length) throw fault(`names a scope that is none of ${SCOPES.join(', ')}`)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw fault(`has the unknown key ${unknown}`)
  return { name, sha256: Buffer.from(sha256, 'hex'), scopes: new Set(known) }
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest()
}

/** YAML's own messages quote the file, which may hold a token that somebody put there by mistake. */
function reason(cause: unknown): string {
  if (cause instanceof TokensFileError) return cause.message
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^E[A-Z]+$/.test(code) ? `it cannot be read (${code})` : 'it is not valid YAML'
}
