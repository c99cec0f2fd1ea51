import type { CanonicalText, Column, Destination, FieldDescription, FieldEncoder } from '../../connectors/contract.ts'
import type { SyncSpec } from '../../state/spec.ts'
import { compileTemplate, plainColumn, type RenderFailure } from './template.ts'

/** One row translated to the destination's model, or why it cannot be sent. */
export type Mapped =
  | { readonly fields: string; readonly match: string | null }
  | { readonly invalid: string; readonly code: string; readonly field: string; readonly match: string | null }

export type RowMapper = (row: readonly CanonicalText[]) => Mapped

type IfNull = 'clear' | 'skip' | 'reject'
type FieldRule = {
  readonly name: string
  /** The name as a JSON object has it, colon included. */
  readonly label: string
  readonly read: (row: readonly CanonicalText[]) => CanonicalText | RenderFailure
  readonly encode: FieldEncoder
  readonly ifNull: IfNull
}

/**
 * Compiles a sync's mapping once; the result is called for rows that changed. Throws ConnectorError `config` where a column can
 * never fit its field. `fields` of a mapped row is JSON text, encoded by the destination.
 */
export function compileMapping({
  spec,
  columns,
  fields,
  destination,
}: {
  spec: SyncSpec
  columns: readonly Column[]
  fields: readonly FieldDescription[] | null
  destination: Pick<Destination, 'encoder' | 'clear'>
}): RowMapper {
  const rules = Object.entries(spec.fields).map(([name, mapping]) =>
    fieldRule({ name, mapping, columns, field: fields?.find((f) => f.name === name) ?? null, destination }),
  )
  const matchRule = rules.find((rule) => rule.name === spec.match)
  const clear = destination.clear
  return (row) => {
    const parts: string[] = []
    let match: string | null = null
    let invalid: { invalid: string; code: string; field: string } | null = null
    for (const rule of rules) {
      const text = rule.read(row)
      if (text === null) {
        if (rule === matchRule) invalid ??= { invalid: 'the match value is NULL', code: 'match_missing', field: rule.name }
        else if (rule.ifNull === 'reject')
          invalid ??= { invalid: 'the value is NULL and the mapping says `ifNull: reject`', code: 'null', field: rule.name }
        else if (rule.ifNull === 'clear') parts.push(rule.label + clear)
        continue
      }
      const encoded = typeof text === 'string' ? rule.encode(text) : { ...text, code: 'template' }
      if ('invalid' in encoded) {
        invalid ??= { invalid: encoded.invalid, code: encoded.code, field: rule.name }
        continue
      }
      parts.push(rule.label + encoded.json)
      if (rule !== matchRule) continue
      match = encoded.json === clear ? '' : jsonAsText(encoded.json)
      if (match === '') {
        match = null
        invalid ??= { invalid: 'the match value is empty', code: 'match_missing', field: rule.name }
      }
    }
    return invalid ? { ...invalid, match } : { fields: `{${parts.join(',')}}`, match }
  }
}

function fieldRule({
  name,
  mapping,
  columns,
  field,
  destination,
}: {
  name: string
  mapping: SyncSpec['fields'][string]
  columns: readonly Column[]
  field: FieldDescription | null
  destination: Pick<Destination, 'encoder'>
}): FieldRule {
  const label = `${JSON.stringify(name)}:`
  if (typeof mapping !== 'string' && 'value' in mapping) {
    const { value } = mapping
    const text = value === null ? null : String(value)
    const kind = typeof value === 'number' ? 'decimal' : typeof value === 'boolean' ? 'boolean' : 'text'
    return { name, label, read: () => text, encode: destination.encoder(field, kind), ifNull: 'clear' }
  }
  const ifNull = typeof mapping === 'string' ? 'clear' : (mapping.ifNull ?? 'clear')
  const columnName = typeof mapping === 'string' ? mapping : 'column' in mapping ? mapping.column : plainColumn(mapping.template)
  const index = columns.findIndex((column) => column.name === columnName)
  // `{{ true }}` looks like a column and is none.
  if (index < 0 && typeof mapping !== 'string' && 'template' in mapping) {
    return { name, label, read: compileTemplate(mapping.template, columns), encode: destination.encoder(field, 'text'), ifNull }
  }
  const kind = columns[index]?.kind ?? 'text'
  return { name, label, read: (row) => row[index] ?? null, encode: destination.encoder(field, kind), ifNull }
}

/** A JSON scalar as plain text: what match values are compared by. */
function jsonAsText(json: string): string {
  return json.startsWith('"') ? String(JSON.parse(json)) : json
}
