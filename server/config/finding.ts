import type { Kind } from '../../state/spec.ts'

/** One thing that is wrong in a value: `pointer` is a JSON pointer into it. */
export interface Issue {
  readonly pointer: string
  readonly message: string
}

/** One thing that is wrong, or doubtful, in a document. */
export interface Finding extends Issue {
  readonly level: 'error' | 'warning'
  /** Null where the document does not say it. */
  readonly kind: Kind | null
  readonly name: string | null
  /** Index among the given documents; null for a resource that is stored only. */
  readonly document: number | null
}
