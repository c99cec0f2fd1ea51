import Type, { type Static } from 'typebox'
import Value from 'typebox/value'

const Message = Type.Object({ pointer: Type.String(), message: Type.String() })

/** The answer of plan and apply. */
export const PlanAnswer = Type.Object({
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

export type PlanAnswer = Static<typeof PlanAnswer>

export function warningsOf(body: unknown): Static<typeof Message>[] {
  const shape = Type.Object({ warnings: Type.Array(Message) })
  return Value.Check(shape, body) ? body.warnings : []
}
