import type { Source, SourceConnector } from '../contract.ts'
import { pgwireSource, SILENCE_MS } from '../pgwire/source.ts'
import { greetPostgres } from './check.ts'
import { parsePostgresConfig, PostgresConfig } from './config.ts'

/** PostgreSQL by COPY in text format. */
export const postgres: SourceConnector = {
  slug: 'postgres',
  title: 'PostgreSQL',
  config: PostgresConfig,
  secrets: ['url'],
  open: (config) => openPostgres(config, { silenceMs: SILENCE_MS }),
}

export function openPostgres(config: Record<string, unknown>, { silenceMs }: { silenceMs: number }): Source {
  return pgwireSource(parsePostgresConfig(config), { silenceMs, greet: greetPostgres })
}
