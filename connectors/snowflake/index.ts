import type { Source, SourceConnector } from '../source-contract.ts'
import { checkSnowflake } from './check.ts'
import { parseSnowflakeConfig, SNOWFLAKE_SECRETS, SnowflakeConfig } from './config.ts'
import { prepareModel } from './model.ts'
import { compareInSnowflake } from './planner.ts'
import { openReading } from './read.ts'
import { withSession } from './session.ts'

/** So long a read may wait for its next row. The driver tries a chunk ten times within it. */
const SILENCE_MS = 300_000

/**
 * Snowflake by the vendor's driver. One session a call, closed by it; models run in the background, so that a later attempt can go on
 * with their query.
 */
export const snowflake: SourceConnector = {
  slug: 'snowflake',
  title: 'Snowflake',
  config: SnowflakeConfig,
  secrets: SNOWFLAKE_SECRETS,
  open: (config) => openSnowflake(config, { silenceMs: SILENCE_MS }),
}

export function openSnowflake(config: Record<string, unknown>, { silenceMs }: { silenceMs: number }): Source {
  const target = parseSnowflakeConfig(config)
  const { plannerSchema: schema } = target
  const source: Source = {
    check: (signal) => checkSnowflake(target, signal),
    describe: (query, signal) =>
      withSession(target, signal, { tag: '{"app":"tailrace","step":"describe"}', outlives: false }, async (session) => {
        const { columns } = await prepareModel(session, query)
        return columns.map(({ name, kind, nativeType }) => ({ name, kind, nativeType }))
      }),
    read: (request) => openReading(target, request, silenceMs),
  }
  if (schema === null) return source
  return { ...source, compareInWarehouse: (request, sync) => compareInSnowflake(target, { schema, silenceMs }, request, sync) }
}
