import type { Source, SourceConnector } from '../source-contract.ts'
import { pgwireSource, SILENCE_MS } from '../pgwire/source.ts'
import { greetPostgres } from './check.ts'
import { parsePostgresConfig, PostgresConfig } from './config.ts'
import { compareInPostgres } from './planner.ts'

/** PostgreSQL by COPY in text format. */
export const postgres: SourceConnector = {
  slug: 'postgres',
  title: 'PostgreSQL',
  config: PostgresConfig,
  secrets: ['url'],
  open: (config) => openPostgres(config, { silenceMs: SILENCE_MS }),
}

export function openPostgres(config: Record<string, unknown>, { silenceMs }: { silenceMs: number }): Source {
  const target = parsePostgresConfig(config)
  const { plannerSchema: schema } = target
  const source = pgwireSource(target, { silenceMs, greet: (session) => greetPostgres(session, schema) })
  if (schema === null) return source
  return { ...source, compareInWarehouse: (request, sync) => compareInPostgres(target, { schema, silenceMs }, request, sync) }
}
