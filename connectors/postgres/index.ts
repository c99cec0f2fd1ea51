import type { Source, SourceConnector } from '../contract.ts'
import { checkPostgres } from './check.ts'
import { parsePostgresConfig, PostgresConfig } from './config.ts'
import { PREPARE_SECONDS, prepareModel } from './model.ts'
import { openReading } from './read.ts'
import { beginReadOnly, withSession } from './session.ts'

/** So long may a read stay silent before the server is asked on a second connection whether it still works on it. */
const SILENCE_MS = 300_000

/**
 * PostgreSQL by COPY in text format. One connection a call, closed by it. Models run in a read-only transaction; nothing is ever
 * retried here.
 */
export const postgres: SourceConnector = {
  slug: 'postgres',
  title: 'PostgreSQL',
  config: PostgresConfig,
  secrets: ['url'],
  open: (config) => openPostgres(config, { silenceMs: SILENCE_MS }),
}

export function openPostgres(config: Record<string, unknown>, { silenceMs }: { silenceMs: number }): Source {
  const target = parsePostgresConfig(config)
  return {
    check: (signal) => checkPostgres(target, signal),
    describe: (query, signal) =>
      withSession(target, signal, PREPARE_SECONDS + 30, async (session) => {
        await beginReadOnly(session, PREPARE_SECONDS)
        const { columns } = await prepareModel(session, query)
        await session.client.query('rollback')
        return columns.map(({ name, kind, nativeType }) => ({ name, kind, nativeType }))
      }),
    read: (request) => openReading(target, request, silenceMs),
  }
}
