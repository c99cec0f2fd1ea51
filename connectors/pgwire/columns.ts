import type { Column, ValueKind } from '../contract.ts'
import type { KeyPart } from '../keys.ts'

/** How a type is read. `key` is null where it has no order that bytes can carry. */
export interface TypeTraits {
  readonly kind: ValueKind
  readonly key: KeyForm | null
  /** SQL of the value for the SQL of a column, where it is not the column itself. */
  readonly sql?: (column: string) => string
  /** Values that the server takes for equal have the same text, so that its own hash of them tells what their text would. */
  readonly exact?: true
}

/** `own`: the key text is the text that the column itself has (as decoded), so a mapped key column is read once. */
export interface KeyForm {
  readonly part: KeyPart
  readonly own: boolean
  /** SQL of the key text for the SQL of a column. */
  readonly sql: (column: string) => string
}

export function textKey(sql: (column: string) => string, own: boolean): KeyForm {
  return { part: 'text', own, sql }
}

/** A column of the model with what reading it takes. */
export interface ModelColumn extends Column {
  readonly traits: TypeTraits
}
