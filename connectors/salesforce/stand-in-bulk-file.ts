import { parse } from 'csv-parse/sync'
import { isObject, type JsonObject } from '../json-object.ts'
import { relationshipName } from './relationships.ts'
import type { Field } from './stand-in-fields.ts'
import type { Org } from './stand-in-org.ts'
import type { ObjectStore } from './stand-in-store.ts'

/** An uploaded CSV that a job can go through: header and rows as they came. */
export interface BulkFile {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** Fails a whole job; nothing is written. The message is the job's `errorMessage`. */
export class JobFailure extends Error {}

const MAX_CELL = 32_000
const MAX_ROW = 400_000
const MAX_HEADER = 32_000

/** Reads a CSV as Salesforce does: what it does not like fails the whole job. */
export function readFile(org: Org, store: ObjectStore, operation: string, body: Buffer): BulkFile {
  const text = body.toString('utf8')
  if (text.includes('\r')) throw new JobFailure('ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF')
  const [header = [], ...rows] = parsed(text)
  if (header.join(',').length > MAX_HEADER) throw new JobFailure('InvalidBatch : The header line is too long')
  for (const name of header) {
    if (name === 'Id' && operation !== 'insert') continue
    if (operation === 'delete') throw new JobFailure(`InvalidBatch : Field name not found : ${name}`)
    if (!known(org, store, name)) throw new JobFailure(`InvalidBatch : Field name not found : ${name}`)
  }
  for (const row of rows) {
    if (row.some((cell) => cell.length > MAX_CELL) || row.join(',').length > MAX_ROW)
      throw new JobFailure('InvalidBatch : The data of a row or of a field are too long')
  }
  return { header, rows }
}

function parsed(text: string): string[][] {
  try {
    const rows: unknown = parse(text, { bom: false, record_delimiter: '\n', skip_empty_lines: true })
    return Array.isArray(rows) ? rows.map((row) => (Array.isArray(row) ? row.map(String) : [])) : []
  } catch {
    throw new JobFailure('InvalidBatch : The CSV cannot be read')
  }
}

function known(org: Org, store: ObjectStore, name: string): boolean {
  const related = relationshipName(name)
  if (related === null) return org.field(store, name) !== undefined
  const lookup = lookupOf(store, related.relationship)
  if (lookup === undefined) return false
  // The type is asked for where the lookup leads to several objects, and refused where it does not.
  if ((related.object !== null) !== lookup.polymorphicForeignKey) return false
  const target = org.store(related.object ?? lookup.referenceTo[0] ?? '')
  const key = target === undefined ? undefined : org.field(target, related.field)
  return key !== undefined && (key.externalId || key.idLookup)
}

function lookupOf(store: ObjectStore, relationship: string): Field | undefined {
  return [...store.fields.values()].find((field) => field.relationshipName?.toLowerCase() === relationship.toLowerCase())
}

/** The row as an sObject: an empty cell is not there, `#N/A` is null, a relationship is a nested object. */
export function objectOf({ header }: BulkFile, row: readonly string[]): JsonObject {
  const body: Record<string, unknown> = {}
  for (const [index, name] of header.entries()) {
    const cell = row[index] ?? ''
    if (cell === '') continue
    const value = cell === '#N/A' ? null : cell
    const related = relationshipName(name)
    if (related === null) body[name] = value
    else
      body[related.relationship] = { ...(related.object === null ? {} : { attributes: { type: related.object } }), [related.field]: value }
  }
  return body
}

/** What a row's records hang on: children of one parent wait for its lock. */
export function parentsOf({ header }: BulkFile, store: ObjectStore, row: readonly string[]): string[] {
  return header.flatMap((name, index) => {
    const cell = row[index] ?? ''
    const isParent = relationshipName(name) !== null || (store.fields.get(name)?.type === 'reference' && name !== 'OwnerId')
    return isParent && cell !== '' && cell !== '#N/A' ? [`${name} ${cell.toLowerCase()}`] : []
  })
}

/** Lines of a CSV of results, the header first: every cell quoted, numbers written anew, rows in another order than they came. */
export function resultLines(
  store: ObjectStore,
  { header }: BulkFile,
  first: readonly string[],
  lines: readonly { readonly first: readonly string[]; readonly row: readonly string[] }[],
): { readonly header: string; readonly rows: readonly string[] } {
  const quote = (cell: string): string => `"${cell.replaceAll('"', '""')}"`
  const all = lines.map((line) =>
    [...line.first, ...header.map((name, index) => rewritten(store.fields.get(name), line.row[index] ?? ''))].map(quote).join(','),
  )
  // Odd ones backwards, then even ones: far from the order in which they came.
  const rows = [...all.filter((_, index) => index % 2 === 1).reverse(), ...all.filter((_, index) => index % 2 === 0)]
  return { header: [...first, ...header].map(quote).join(','), rows }
}

/** Numbers as Java prints doubles: `42` comes back as `42.0`, `912260031` as `9.12260031E8`. */
function rewritten(field: Field | undefined, cell: string): string {
  if (field === undefined || !/^(double|currency|percent)$/.test(field.type) || !/^-?\d/.test(cell)) return cell
  const value = Number(cell)
  if (value !== 0 && (Math.abs(value) >= 1e7 || Math.abs(value) < 1e-3)) {
    const [mantissa = '', exponent = ''] = value.toExponential().split('e')
    return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${Number(exponent)}`
  }
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

export function textOf(body: Buffer): JsonObject | null {
  try {
    const parsedBody: unknown = JSON.parse(body.toString('utf8'))
    return isObject(parsedBody) ? parsedBody : null
  } catch {
    return null
  }
}
