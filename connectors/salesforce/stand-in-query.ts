import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'
import { foldMatch } from './compare.ts'
import type { Scalar } from '../matched-records.ts'
import { notFound, Refusal } from './stand-in-answers.ts'
import type { Field } from './stand-in-fields.ts'
import type { Org } from './stand-in-org.ts'
import type { ObjectStore, StoredObject } from './stand-in-store.ts'

interface Condition {
  readonly field: Field
  readonly values: readonly Scalar[]
}

interface Query {
  readonly store: ObjectStore
  readonly select: readonly string[]
  readonly where: readonly Condition[]
  readonly limit: number
}

/** Cursors of queries that have further pages. */
export class Queries {
  readonly #open = new Map<string, { readonly rows: readonly object[]; readonly size: number }>()
  #last = 0

  /** `GET /query?q=…`: `SELECT a, b, Rel.c FROM Object [WHERE f = x | f IN (…) [AND …]] [ORDER BY …] [LIMIT n]`. */
  query(org: Org, soql: string, version: string): StandInAnswer {
    const parsed = parse(org, soql)
    const rows = matching(parsed)
      .slice(0, parsed.limit)
      .map((record) => row(org, parsed, record, version))
    return this.#page(rows, 0, org.settings.queryPageSize, version, null)
  }

  /** `GET /query/{locator}`. */
  more(locator: string, version: string): StandInAnswer {
    const [id = '', from = ''] = locator.split('-')
    const open = this.#open.get(id)
    if (open === undefined) throw new Refusal(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator')
    return this.#page(open.rows, Number(from), open.size, version, id)
  }

  #page(rows: readonly object[], from: number, size: number, version: string, known: string | null): StandInAnswer {
    const next = from + size
    const done = next >= rows.length
    const id = known ?? `01g${String(++this.#last).padStart(12, '0')}`
    if (!done) this.#open.set(id, { rows, size })
    const more = done ? {} : { nextRecordsUrl: `/services/data/v${version}/query/${id}-${next}` }
    return jsonAnswer(200, { totalSize: rows.length, done, ...more, records: rows.slice(from, next) })
  }
}

const SHAPE = /^\s*SELECT\s+(.+?)\s+FROM\s+(\w+)(?:\s+WHERE\s+(.+?))?(?:\s+ORDER\s+BY\s+[\w.,\s]+?)?(?:\s+LIMIT\s+(\d+))?\s*$/is

function parse(org: Org, soql: string): Query {
  const parts = SHAPE.exec(soql)
  if (parts === null) throw malformed('unexpected token')
  const [, select = '', object = '', where, limit] = parts
  const store = org.store(object)
  if (store === undefined) throw new Refusal(400, 'INVALID_TYPE', `sObject type '${object}' is not supported.`)
  const names = select.split(',').map((name) => name.trim())
  for (const name of names) if (!name.includes('.')) known(org, store, name)
  return {
    store,
    select: names,
    where: where === undefined ? [] : conditions(org, store, where),
    limit: limit === undefined ? Infinity : Number(limit),
  }
}

/** One condition: a field, `=` or `IN`, literals. Text stands in single quotes with backslash escapes. */
const CONDITION =
  /\s*(\w+)\s*(=|IN)\s*(\(\s*(?:'(?:[^'\\]|\\.)*'|[^',()]+)(?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|[^',()]+))*\s*\)|'(?:[^'\\]|\\.)*'|[\w.+:-]+)\s*/iy
const LITERAL = /'((?:[^'\\]|\\.)*)'|([^\s',()]+)/g

function conditions(org: Org, store: ObjectStore, text: string): Condition[] {
  const found: Condition[] = []
  let at = 0
  for (;;) {
    CONDITION.lastIndex = at
    const match = CONDITION.exec(text)
    if (match === null) throw malformed('unexpected token in WHERE')
    const field = known(org, store, match[1] ?? '')
    if (!field.filterable) throw new Refusal(400, 'INVALID_FIELD', `field '${field.name}' can not be filtered in a query call`)
    found.push({ field, values: [...(match[3] ?? '').matchAll(LITERAL)].map(([, quoted, bare]) => literal(field, quoted, bare)) })
    at = CONDITION.lastIndex
    if (at >= text.length) return found
    const and = /^AND\s/i.exec(text.slice(at))
    if (and === null) throw malformed('unexpected token after a condition')
    at += and[0].length
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }
const NUMERIC = ['int', 'double', 'currency', 'percent']

function literal(field: Field, quoted: string | undefined, bare: string | undefined): Scalar {
  if (NUMERIC.includes(field.type)) {
    if (quoted !== undefined || !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(bare ?? ''))
      throw new Refusal(
        400,
        'INVALID_FIELD',
        `filter criteria for field '${field.name}' must be of type ${field.type} and should not be enclosed in quotes`,
      )
    return Number(bare)
  }
  if (quoted === undefined) {
    if (bare?.toLowerCase() === 'null') return null
    if (field.type === 'boolean' || field.type === 'date' || field.type === 'datetime') return bare ?? null
    throw new Refusal(
      400,
      'INVALID_FIELD',
      `filter criteria for field '${field.name}' must be of type ${field.type} and should be enclosed in quotes`,
    )
  }
  const text = quoted.replace(/\\(.)/gs, (_, escaped: string) => ESCAPES[escaped] ?? escaped)
  if (field.type === 'id' && !/^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$/.test(text))
    throw new Refusal(400, 'INVALID_QUERY_FILTER_OPERATOR', `invalid ID field: ${text}`)
  return text
}

function known(org: Org, store: ObjectStore, name: string): Field {
  const field = org.field(store, name)
  if (field !== undefined) return field
  throw new Refusal(
    400,
    'INVALID_FIELD',
    `No such column '${name}' on entity '${store.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name.`,
  )
}

function matching({ store, where }: Query): StoredObject[] {
  const folded = where.map(({ field, values }) => ({ field, values: new Set(values.map((value) => fold(value, field))) }))
  return [...store.all()].filter((record) => {
    const shown = store.shown(record)
    return folded.every(({ field, values }) => values.has(fold(shown[field.name] ?? null, field)))
  })
}

/** Text is compared without case unless the field says otherwise, numbers by value, ids in either length. */
function fold(value: Scalar, field: Field): string | null {
  return value === null ? null : foldMatch(String(value), field)
}

function row(org: Org, { store, select }: Query, record: StoredObject, version: string): object {
  const shown = store.shown(record)
  const out: Record<string, unknown> = {
    attributes: { type: store.name, url: `/services/data/v${version}/sobjects/${store.name}/${record.id}` },
  }
  for (const name of select) {
    const [relationship = '', inner] = name.split('.')
    if (inner === undefined) out[org.field(store, name)?.name ?? name] = shown[org.field(store, name)?.name ?? name] ?? null
    else out[relationship] = parent(org, store, record, relationship, inner, out[relationship])
  }
  return out
}

function parent(org: Org, store: ObjectStore, record: StoredObject, relationship: string, name: string, before: unknown): object | null {
  const lookup = [...store.fields.values()].find((field) => field.relationshipName === relationship)
  if (lookup === undefined) throw new Refusal(400, 'INVALID_FIELD', `Didn't understand relationship '${relationship}' in field path.`)
  const id = String(record.values.get(lookup.name) ?? '')
  const target = org.storeOf(id)
  const held = target?.byId(id)
  if (target === undefined || held === undefined) return null
  const field = known(org, target, name)
  return { attributes: { type: target.name }, ...(before ?? {}), [field.name]: target.shown(held)[field.name] ?? null }
}

function malformed(what: string): Refusal {
  return new Refusal(400, 'MALFORMED_QUERY', what)
}

export function queryText(query: URLSearchParams): string {
  const soql = query.get('q')
  if (soql === null) throw notFound()
  return soql
}
