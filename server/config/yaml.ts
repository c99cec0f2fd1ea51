import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, visit, type Document, type Node } from 'yaml'

export interface Place {
  readonly line: number
  readonly column: number
}

export interface YamlProblem extends Place {
  readonly message: string
}

/** One document of a file, as plain JSON, and where each part of it stands. */
export interface YamlDocument {
  readonly value: unknown
  /** Line and column (from 1) of the key that a JSON pointer leads to, or of the nearest part above it that is there. */
  place(pointer: string): Place
}

/** All documents of one file; empty ones are left out. A file with any syntax error gives no documents. Pure. */
export function parseYaml(text: string): { readonly documents: YamlDocument[]; readonly problems: YamlProblem[] } {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const problems: YamlProblem[] = []
  const documents: YamlDocument[] = []
  for (const document of 'empty' in parsed ? [] : parsed) {
    // What follows the first error is mostly its echo.
    const error = document.errors[0] ?? document.warnings[0]
    if (error) {
      problems.push({ ...placeAt(error.pos[0]), message: `this is not valid YAML: ${error.message.replace(/\.?\s*$/, '')}` })
      break
    }
    problems.push(...inexact(document).map(({ offset, message }) => ({ ...placeAt(offset), message })))
    if (problems.length > 0 || document.contents === null) continue
    const read = toValue(document)
    if ('problem' in read) problems.push({ ...placeAt(document.range[0]), message: read.problem })
    else if (read.value !== null) documents.push({ value: read.value, place: (pointer) => placeAt(offsetOf(document, pointer)) })
  }
  return { documents: problems.length > 0 ? [] : documents, problems }
}

function toValue(document: Document.Parsed): { readonly value: unknown } | { readonly problem: string } {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    return { value }
  } catch (error) {
    return { problem: `this is not valid YAML: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** Numbers that JavaScript would round: a constant must keep its digits. */
function inexact(document: Document.Parsed): { offset: number; message: string }[] {
  const found: { offset: number; message: string }[] = []
  visit(document, {
    Scalar(_, { value, source, range }) {
      if (typeof value !== 'number' || source === undefined) return
      const rounded = Number.isInteger(value) ? !Number.isSafeInteger(value) : source.replace(/[^0-9]/g, '').length > 15
      if (rounded) found.push({ offset: range?.[0] ?? 0, message: 'this number has more digits than can be kept; put it in quotes' })
    },
  })
  return found
}

function offsetOf(document: Document.Parsed, pointer: string): number {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  let node: Node | null = document.contents
  let offset = node?.range?.[0] ?? document.range[0]
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null
    const child = childOf(node, part)
    if (child === null) break
    offset = child.offset ?? offset
    node = child.value
  }
  return offset
}

function childOf(node: Node | null, part: string): { readonly offset: number | undefined; readonly value: Node | null } | null {
  if (isMap<unknown, Node | null>(node)) {
    const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === part)
    return pair && isScalar(pair.key) ? { offset: pair.key.range?.[0], value: pair.value } : null
  }
  if (!isSeq<Node>(node)) return null
  const item = node.items[Number(part)]
  return item === undefined ? null : { offset: item.range?.[0], value: item }
}
