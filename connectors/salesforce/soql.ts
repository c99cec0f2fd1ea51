import { ConnectorError } from '../errors.ts'
import { MAX_QUERY_BYTES } from './limits.ts'

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
}

/** A text as SOQL writes it: single quotes, backslash escapes (SOQL guide, "Quoted string escape sequences"). */
export function quoted(text: string): string {
  return `'${text.replace(/[\\'\n\r\t\b\f]/g, (char) => ESCAPES[char] ?? char)}'`
}

/**
 * Queries that together select `fields` of the records whose `match` is one of `literals`, each short enough for a URL. Paths are
 * complete: `/query?q=…`. Throws `config` when not even one value has room beside the fields.
 */
export function lookUpPaths(object: string, fields: readonly string[], match: string, literals: readonly string[]): string[] {
  const head = `/query?q=${encode(`SELECT ${fields.join(',')} FROM ${object} WHERE ${match} IN (`)}`
  const room = MAX_QUERY_BYTES - head.length - 1
  const paths: string[] = []
  let list = ''
  for (const literal of literals.map(encode)) {
    if (literal.length > room)
      throw new ConnectorError(
        'config',
        `${object} cannot be read back by ${match}: ${fields.length} fields leave no room for its value in a query; map fewer fields`,
      )
    if (list !== '' && list.length + 1 + literal.length > room) {
      paths.push(`${head}${list})`)
      list = ''
    }
    list += list === '' ? literal : `,${literal}`
  }
  return list === '' ? paths : [...paths, `${head}${list})`]
}

/** Percent-encoding, with a plus for a space as query strings have it. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%20', '+').replaceAll('%2C', ',')
}
