import { readFileSync } from 'node:fs'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads single names and gathers what is wrong instead of throwing, so that all of it can be told together. A problem names the
 * variable and the rule, never the value. An empty value counts as unset.
 */
export class EnvironmentReader {
  readonly #env: Environment
  readonly problems: string[] = []

  constructor(env: Environment) {
    this.#env = env
  }

  text(name: string): string | null {
    return this.#env[name]?.trim() || null
  }

  /** `NAME`, or the content of the file that `NAME_FILE` names. */
  secret(name: string): string | null {
    const direct = this.text(name)
    const file = this.text(`${name}_FILE`)
    if (file === null) return direct
    if (direct !== null) return this.#wrong(name, `and ${name}_FILE are both set: keep one`)
    try {
      const content = readFileSync(file, 'utf8').trim()
      return content === '' ? this.#wrong(`${name}_FILE`, 'names an empty file') : content
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
      return this.#wrong(`${name}_FILE`, `names a file that cannot be read (${code})`)
    }
  }

  integer<T extends number | null>(name: string, range: { readonly min: number; readonly max: number }, fallback: T): number | T {
    const text = this.text(name)
    if (text === null) return fallback
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN
    if (value >= range.min && value <= range.max) return value
    // Kubernetes sets TAILRACE_PORT=tcp://… in every pod beside a Service called "tailrace".
    const link = text.startsWith('tcp://') ? ' (this is a Kubernetes service link: set enableServiceLinks: false on the pod)' : ''
    this.wrong(name, `must be a whole number from ${range.min} to ${range.max}${link}`)
    return fallback
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const text = this.text(name)
    if (text === null) return fallback
    const known = allowed.find((item) => item === text)
    if (known === undefined) this.wrong(name, `must be one of ${allowed.join(', ')}`)
    return known ?? fallback
  }

  /** A URL of one of the given schemes, without its trailing slashes. */
  url(name: string, schemes: readonly string[], value: string | null = this.text(name)): string | null {
    if (value === null) return null
    const scheme = URL.canParse(value) ? new URL(value).protocol.slice(0, -1) : ''
    return schemes.includes(scheme)
      ? value.replace(/\/+$/, '')
      : this.#wrong(name, `must be a URL that starts with ${schemes.map((s) => `${s}://`).join(' or ')}`)
  }

  require<T>(name: string, value: T | null, rule: string): T | null {
    // A name that is already known to be wrong is not missing as well.
    if (value === null && !this.problems.some((problem) => problem.startsWith(name))) this.#wrong(name, rule)
    return value
  }

  wrong(name: string, rule: string): void {
    this.#wrong(name, rule)
  }

  #wrong(name: string, rule: string): null {
    this.problems.push(`${name} ${rule}`)
    return null
  }
}
