import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { CliError, EXIT } from './exit.ts'

/** What the CLI reads of the API's answers; what it does not read may change. */
const TextOrNull = Type.Union([Type.String(), Type.Null()])

export const Run = Type.Object({
  id: Type.String(),
  sync: Type.String(),
  state: Type.String(),
  dryRun: Type.Boolean(),
  counts: Type.Record(Type.String(), Type.Number()),
  waiting: Type.Union([Type.Object({ reason: Type.String(), until: TextOrNull }), Type.Null()]),
  startedAt: TextOrNull,
  finishedAt: TextOrNull,
  error: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()]),
  temporal: Type.Object({ url: TextOrNull }),
})
export type Run = Static<typeof Run>

const RecordError = Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()])

export const Change = Type.Object({
  key: Type.Unknown(),
  op: Type.String(),
  fields: Type.Unknown(),
  outcome: Type.String(),
  error: RecordError,
})

export const Rejection = Type.Object({
  key: Type.Unknown(),
  class: Type.String(),
  code: Type.String(),
  field: TextOrNull,
  message: Type.String(),
  nextAttempt: TextOrNull,
})

export const RecordHistory = Type.Object({
  acknowledged: Type.Union([Type.Object({ fields: Type.Unknown(), run: TextOrNull, at: TextOrNull }), Type.Null()]),
  inDoubt: Type.Boolean(),
  runs: Type.Array(Type.Object({ run: Type.String(), at: TextOrNull, op: Type.String(), outcome: Type.String(), error: RecordError })),
})

export const Checks = Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean(), detail: Type.String() }))

export const Due = Type.Object({ due: Type.Number() })

/** Throws CliError where an answer is of another shape: CLI and API are of different versions. */
export function readAnswer<T extends Type.TSchema>(shape: T, body: unknown): Static<T> {
  if (Value.Check(shape, body)) return body
  throw new CliError(EXIT.failed, 'The API answered in a shape that this CLI does not know: are both of the same version?')
}

const AnyPage = Type.Object({ data: Type.Array(Type.Unknown()), next: TextOrNull })

export function readPage(body: unknown): Static<typeof AnyPage> {
  return readAnswer(AnyPage, body)
}
