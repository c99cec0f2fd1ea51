import Type from 'typebox'
import { connectionFields, parseConfig, type Target } from '../pgwire/config.ts'
import { POSTGRES } from './dialect.ts'

export const PostgresConfig = Type.Object(
  {
    ...connectionFields,
    plannerSchema: Type.Optional(Type.String({ minLength: 1, description: 'Schema for comparing inside the warehouse.' })),
  },
  { additionalProperties: false },
)

/** Checks resolved configuration. Throws `config` that names the field, never its value. */
export function parsePostgresConfig(input: Record<string, unknown>): Target & { readonly plannerSchema: string | null } {
  const { config, target } = parseConfig(POSTGRES, PostgresConfig, input)
  return { ...target, plannerSchema: config.plannerSchema ?? null }
}
