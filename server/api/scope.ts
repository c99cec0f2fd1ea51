import type {} from 'fastify'

export const SCOPES = ['config:read', 'config:write', 'runs:read', 'runs:write', 'records:read'] as const

export type Scope = (typeof SCOPES)[number]

/** Who calls. */
export interface Principal {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a token must carry for this route. */
    scope?: Scope
  }
}
