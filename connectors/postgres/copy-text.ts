import type { CanonicalText, ValueKind } from '../contract.ts'

/** Pure: the text format of COPY, as printed under the settings that a read pins. */

/** From the server's text to canonical text. Leaves text alone that is canonical already, as key texts are. */
export type Convert = (text: string) => string

/** The fields of one line, without its line break; null for NULL. */
export function splitLine(line: string): CanonicalText[] {
  const fields = line.split('\t')
  // Most lines escape nothing: one look at the line instead of one per field.
  return line.includes('\\') ? fields.map(unescapeField) : fields
}

/** COPY escapes these on output and nothing else; a backslash of the value is doubled, so a bare `\N` is NULL. */
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

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

/** Null where the server's text is canonical as it is. */
export function converter(kind: ValueKind): Convert | null {
  switch (kind) {
    case 'boolean':
      return (text) => (text === 't' ? 'true' : text === 'f' ? 'false' : text)
    case 'timestamptz':
      // Not by a regular expression: with the line above, decoding 10 columns took 0.9 instead of 1.3 us a row.
      return (text) => {
        const space = text.indexOf(' ')
        return space > 0 && text.endsWith('+00') ? `${text.slice(0, space)}T${text.slice(space + 1, -3)}Z` : text
      }
    case 'timestamp':
      return (text) => text.replace(/^(\d+-\d\d-\d\d) ([\d:.]+)$/, '$1T$2')
    case 'bytes':
      return (text) => Buffer.from(text.slice(2), 'hex').toString('base64')
    case 'integer':
    case 'decimal':
    case 'float':
    case 'text':
    case 'date':
    case 'json':
    case 'array':
    case 'other':
      return null
  }
}
