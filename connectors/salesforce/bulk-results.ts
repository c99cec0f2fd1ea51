import { parse, type Parser } from 'csv-parse'
import { ConnectorError } from '../errors.ts'
import type { SalesforceError } from './envelope.ts'

/** What the results of a job say of one record; `conflicting`: two things. */
export type BulkResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'unprocessed' }
  | { readonly kind: 'conflicting' }
  | { readonly kind: 'failed'; readonly error: SalesforceError; readonly remoteId: string | null }

export type ResultFile = 'successfulResults' | 'failedResults' | 'unprocessedrecords'

/**
 * Results of a job by canonical key: rows come in any order and with numbers written anew, so neither position nor text tells
 * them apart. `column` holds the key, `fold` makes it canonical.
 */
export class BulkResultsTable {
  readonly #byKey = new Map<string, BulkResult>()
  readonly #codes = new Set<string | null>()
  readonly #column: string
  readonly #fold: (text: string) => string

  constructor(column: string, fold: (text: string) => string) {
    this.#column = column
    this.#fold = fold
  }

  of(folded: string): BulkResult | undefined {
    return this.#byKey.get(folded)
  }

  /** Codes by which rows were refused, each once; null stands for rows that were not. */
  get codes(): readonly (string | null)[] {
    return [...this.#codes]
  }

  /** Takes one file as it comes; `end` resolves when all of it was read. Throws `unreachable` for what is no such CSV. */
  reader(file: ResultFile): { readonly receive: (chunk: Buffer) => void; readonly end: () => Promise<void> } {
    const parser: Parser = parse({ bom: true, skip_empty_lines: true })
    let columns: Columns | null = null
    const over = new Promise<void>((resolve, reject) => {
      parser.on('readable', () => {
        for (let row: unknown = parser.read(); row !== null; row = parser.read()) {
          const cells = Array.isArray(row) ? row.map(String) : []
          if (columns === null) columns = columnsOf(cells, this.#column)
          else this.#add(file, columns, cells)
        }
      })
      parser.on('end', resolve)
      parser.on('error', reject)
    })
    return {
      receive: (chunk) => void parser.write(chunk),
      async end() {
        parser.end()
        await over.catch((cause: unknown) => {
          throw new ConnectorError('unreachable', `Salesforce: the ${file} of a bulk job are no readable CSV`, { cause })
        })
      },
    }
  }

  #add(file: ResultFile, { key, id, error }: Columns, cells: readonly string[]): void {
    const folded = this.#fold(cells[key] ?? '')
    if (key < 0 || folded === '') return
    const result: BulkResult =
      file === 'successfulResults'
        ? DONE
        : file === 'unprocessedrecords'
          ? UNPROCESSED
          : { kind: 'failed', error: readRowError(cells[error] ?? ''), remoteId: cells[id] || null }
    this.#codes.add(result.kind === 'failed' ? result.error.code : null)
    this.#byKey.set(folded, this.#byKey.has(folded) ? CONFLICTING : result)
  }
}

const DONE: BulkResult = { kind: 'done' }
const UNPROCESSED: BulkResult = { kind: 'unprocessed' }
const CONFLICTING: BulkResult = { kind: 'conflicting' }

interface Columns {
  readonly key: number
  readonly id: number
  readonly error: number
}

/** Names count without case, as everywhere at Salesforce. -1: that column is not there. */
function columnsOf(header: readonly string[], key: string): Columns {
  const names = header.map((name) => name.toLowerCase())
  return { key: names.indexOf(key.toLowerCase()), id: names.indexOf('sf__id'), error: names.indexOf('sf__error') }
}

/** `CODE:words:fields --`; words may hold colons, the fields may be none. */
export function readRowError(text: string): SalesforceError {
  const [, code = 'UNKNOWN', rest = text] = /^([A-Z][A-Z0-9_]{1,80}):([\s\S]*)$/.exec(text.replace(/\s*--\s*$/, '')) ?? []
  const [, words = rest, fields = ''] = /^([\s\S]*):([\w,. ]*)$/.exec(rest) ?? []
  return { code, words, fields: fields.split(/[\s,]+/).filter((name) => name !== '') }
}
