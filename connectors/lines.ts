import type { CanonicalText } from './contract.ts'

/**
 * Pure: rows as lines, in PostgreSQL's COPY text format, which is injective: fields apart by tabs, backslash, tab and line break
 * escaped, NULL as `\N`. Sources whose drivers hand out values make their lines in SQL.
 */

/** One line for the fields of a row, its line break included: what `splitLine` takes apart. */
export function joinLine(fields: readonly CanonicalText[]): string {
  return `${fields.map((field) => (field === null ? '\\N' : escapeField(field))).join('\t')}\n`
}

/** The fields of one line, without its line break; null for NULL. */
export function splitLine(line: string): CanonicalText[] {
  const fields = line.split('\t')
  // Most lines escape nothing: one look at the line instead of one per field.
  return line.includes('\\') ? fields.map(unescapeField) : fields
}

/** COPY escapes these on output and nothing else; a backslash of the value is doubled, so a bare `\N` is NULL. */
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

const LETTERS: ReadonlyMap<string, string> = new Map(Object.entries(ESCAPES).map(([letter, char]) => [char, letter]))

function escapeField(field: string): string {
  return /[\b\f\n\r\t\v\\]/.test(field) ? field.replace(/[\b\f\n\r\t\v\\]/g, (char) => `\\${LETTERS.get(char) ?? char}`) : field
}

function unescapeField(field: string): CanonicalText {
  if (!field.includes('\\')) return field
  if (field === '\\N') return null
  return field.replace(/\\([\s\S])/g, (_, letter: string) => ESCAPES[letter] ?? letter)
}

/** The byte behind a backslash, as it was in the value. */
export function unescapeByte(byte: number): number {
  switch (byte) {
    case 0x62:
      return 8
    case 0x66:
      return 12
    case 0x6e:
      return 10
    case 0x72:
      return 13
    case 0x74:
      return 9
    case 0x76:
      return 11
    default:
      return byte
  }
}
