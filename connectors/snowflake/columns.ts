import type { Column as DriverColumn } from 'snowflake-sdk'
import type { Column } from '../contract.ts'
import { nativeType, traitsOf, type TypeTraits } from './types.ts'

/** A column of the model with what reading it takes. */
export interface ModelColumn extends Column {
  /** Its name in quotes, as Snowflake knows it. */
  readonly sql: string
  readonly traits: TypeTraits
}

export function modelColumns(columns: readonly DriverColumn[]): ModelColumn[] {
  return columns.map((column) => {
    const [name, type, scale] = [column.getName(), column.getType(), column.getScale()]
    const traits = traitsOf(type, scale)
    return {
      name: shownName(name),
      kind: traits.kind,
      nativeType: nativeType(type, column.getPrecision(), scale),
      sql: quoteName(name),
      traits,
    }
  })
}

/** `ID` is what Snowflake makes of an unquoted `id`; names that can only have been quoted stay as they are. Pure. */
export function shownName(name: string): string {
  return /^[A-Z_][A-Z0-9_$]*$/.test(name) ? name.toLowerCase() : name
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
