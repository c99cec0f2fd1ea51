import type { BulkRequest, FieldDescription } from '../contract.ts'
import type { Scalar } from '../matched-records.ts'
import type { SalesforceObject } from './object.ts'
import { MAX_BULK_CELL_CHARS, MAX_BULK_ROW_CHARS } from './limits.ts'
import type { SalesforceRecord } from './record.ts'
import { relationshipName } from './relationships.ts'

export type BulkOperation = 'insert' | 'update' | 'upsert' | 'delete'

/** Columns of a job's CSV, in order; `Id` where records are addressed by Salesforce's own ids. */
export interface BulkShape {
  readonly operation: BulkOperation
  /** The mapped fields that are columns. */
  readonly fields: readonly string[]
  readonly withId: boolean
  /** Columns whose null is `false`: a checkbox knows no null. */
  readonly checkboxes: ReadonlySet<string>
}

export function bulkShape({ op, mode, match, fields }: BulkRequest, object: SalesforceObject): BulkShape {
  const operation = op === 'delete' ? 'delete' : mode === 'mirror' ? 'upsert' : mode
  const withId = operation === 'update' || operation === 'delete'
  // An update leaves its match field, by which the record was found, as it is.
  const columns = operation === 'delete' ? [] : fields.filter((name) => operation !== 'update' || name !== match).sort()
  return { operation, fields: columns, withId, checkboxes: new Set(columns.filter((name) => object.fields.get(name)?.type === 'boolean')) }
}

/** The header line, ended. No byte order mark: Salesforce takes it for a part of the first name. */
export function headerLine({ fields, withId }: BulkShape): string {
  return `${(withId ? ['Id', ...fields] : fields).map(cell).join(',')}\n`
}

/**
 * One record as a CSV line, ended by LF; null where a CSV cannot say what is wanted, so that the record has to go another way: a
 * text `#N/A` (which means null and knows no escape), a carriage return (line ends are told by the job, mixed ones refused), the
 * absence of a related record (no documentation says that #N/A clears it over a relationship), or what is longer than a job takes.
 * A field that the record lacks is an empty cell, which leaves it as it is; null is `#N/A`.
 */
export function recordLine({ fields }: SalesforceRecord, shape: BulkShape, remoteId: string | null): string | null {
  let line = shape.withId ? (remoteId ?? '') : ''
  let first = !shape.withId
  for (const name of shape.fields) {
    const text = cellText(name, fields[name], shape)
    if (text === null) return null
    line += first ? text : `,${text}`
    first = false
  }
  return line.length > MAX_BULK_ROW_CHARS ? null : `${line}\n`
}

const NULL_TEXT = /^\s*#N\/A\s*$/i

function cellText(name: string, value: Scalar | undefined, { checkboxes }: BulkShape): string | null {
  if (value === undefined) return ''
  if (value === null || value === '') return checkboxes.has(name) ? 'false' : name.includes('.') ? null : '#N/A'
  if (typeof value !== 'string') return String(value)
  if (value.length > MAX_BULK_CELL_CHARS || value.includes('\r') || NULL_TEXT.test(value)) return null
  return cell(value)
}

const QUOTED = /[",\n]/

/** Spaces at an end are quoted too: they belong to the value. */
function cell(text: string): string {
  const plain = !QUOTED.test(text) && text.charCodeAt(0) > SPACE && text.charCodeAt(text.length - 1) > SPACE
  return plain ? text : `"${text.replaceAll('"', '""')}"`
}

const SPACE = 32

/**
 * The mapped field by which records share a parent whose lock they fight for: a relationship, or a lookup. Owners are not locked by
 * the records that they own.
 */
export function parentField(fields: readonly FieldDescription[]): string | null {
  const parent = fields.find(({ name, type }) => (relationshipName(name) !== null || type === 'reference') && !/^Owner(Id|\.)/.test(name))
  return parent?.name ?? null
}
