import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { CliError, EXIT } from './exit.ts'

const Message = Type.Object({ pointer: Type.String(), message: Type.String() })

const Answer = Type.Object({
  changes: Type.Array(
    Type.Object({
      op: Type.Union([Type.Literal('create'), Type.Literal('update'), Type.Literal('delete')]),
      kind: Type.String(),
      name: Type.String(),
      paths: Type.Array(
        Type.Object({ pointer: Type.String(), before: Type.Optional(Type.Unknown()), after: Type.Optional(Type.Unknown()) }),
      ),
    }),
  ),
  unchanged: Type.Number(),
  effects: Type.Array(Type.Object({ message: Type.String() })),
  warnings: Type.Array(Message),
})

export type PlanAnswer = Static<typeof Answer>

/** Throws CliError where the answer of plan or apply is of another shape: CLI and API are of different versions. */
export function readPlanAnswer(body: unknown): PlanAnswer {
  if (Value.Check(Answer, body)) return body
  throw new CliError(EXIT.failed, 'The API answered in a shape that this CLI does not know: are both of the same version?')
}

export function warningsOf(body: unknown): Static<typeof Message>[] {
  const shape = Type.Object({ warnings: Type.Array(Message) })
  return Value.Check(shape, body) ? body.warnings : []
}
