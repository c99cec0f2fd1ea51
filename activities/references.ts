/**
 * References in configuration: `${env:NAME}` and `${file:/path}`. Pure; the worker resolves them (secrets.ts), everybody else only
 * looks at their text.
 */
export interface Reference {
  readonly scheme: 'env' | 'file'
  /** The variable's name or the file's path. */
  readonly target: string
  /** As written, `${…}` included: fit for messages. */
  readonly text: string
}

export type Piece = string | Reference

const OPENING = '${'
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Our own settings: whoever may write configuration must not be able to send them out in a header. */
const OWN = /^(?:(?:DATABASE_URL|LOG_LEVEL)(?:_FILE)?$|(?:TAILRACE|TEMPORAL|OTEL)_)/

/** Whether an environment variable is one of Tailrace's, Temporal's or OpenTelemetry's own settings, which no reference may read. */
export function isOwnSetting(name: string): boolean {
  return OWN.test(name.toUpperCase())
}

/** A string cut into literal text and references; `problems` say what about a reference is wrong or not allowed. */
export function parseReferences(text: string): { readonly pieces: readonly Piece[]; readonly problems: readonly string[] } {
  const pieces: Piece[] = []
  const problems: string[] = []
  let at = 0
  for (let open = text.indexOf(OPENING); open >= 0; open = text.indexOf(OPENING, at)) {
    if (open > at) pieces.push(text.slice(at, open))
    const close = text.indexOf('}', open)
    if (close < 0) {
      problems.push(`the reference that begins with "\${" has no closing brace`)
      return { pieces, problems }
    }
    const written = text.slice(open, close + 1)
    const reference = readReference(written)
    if (typeof reference === 'string') problems.push(reference)
    else pieces.push(reference)
    at = close + 1
  }
  if (at < text.length) pieces.push(text.slice(at))
  return { pieces, problems }
}

export function hasReference(text: string): boolean {
  return parseReferences(text).pieces.some((piece) => typeof piece !== 'string')
}

/** The reference, or what is wrong with it. */
function readReference(written: string): Reference | string {
  const inside = written.slice(2, -1)
  const colon = inside.indexOf(':')
  const scheme = inside.slice(0, Math.max(colon, 0))
  const target = inside.slice(colon + 1)
  if (scheme === 'env') {
    if (!VARIABLE.test(target)) return `${written} does not name an environment variable`
    if (isOwnSetting(target)) return `${written} is refused: it is one of Tailrace's own settings, which configuration must not reach`
    return { scheme, target, text: written }
  }
  if (scheme === 'file') {
    if (!target.startsWith('/')) return `${written} is refused: the path must be absolute`
    if (target.includes('\0') || target.split('/').some((part) => part === '..' || part === '.')) {
      return `${written} is refused: the path must not contain "." or ".."`
    }
    return { scheme, target, text: written }
  }
  return `${written} is no reference; write \${env:NAME} or \${file:/path}`
}

/** Every string in a value, depth first, with the JSON pointer that leads to it. */
export function* stringsIn(value: unknown, pointer = ''): Generator<{ readonly pointer: string; readonly text: string }> {
  if (typeof value === 'string') yield { pointer, text: value }
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) yield* stringsIn(item, `${pointer}/${escapePointer(key)}`)
  }
}

export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
