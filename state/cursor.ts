/** The caller sent a cursor that none of our answers gave out. */
export class CursorError extends Error {
  override readonly name = 'CursorError'
}

/** Opaque text for the place after which the next page begins. */
export function encodeCursor(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** The parts of a cursor, each of which must match its pattern; null when there is no cursor. */
export function decodeCursor(cursor: string | undefined, patterns: readonly RegExp[]): readonly string[] | null {
  if (cursor === undefined) return null
  const parts = parse(cursor)
  const texts = parts.filter((part, i): part is string => typeof part === 'string' && (patterns[i]?.test(part) ?? false))
  if (parts.length !== patterns.length || texts.length !== patterns.length) {
    throw new CursorError('the cursor is not one that an answer gave as `next`; leave it out to begin anew')
  }
  return texts
}

function parse(cursor: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
