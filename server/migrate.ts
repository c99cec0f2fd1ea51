import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '@temporalio/client'
import { openDatabase } from '../state/database.ts'
import { migrate, SchemaError } from '../state/migrate.ts'
import { CliError, EXIT } from './cli/exit.ts'
import { registerSearchAttributes } from './search-attributes.ts'
import type { ServiceSettings } from './settings.ts'

type Needs = Pick<ServiceSettings, 'databaseUrl' | 'temporal'>

/**
 * Schema and search attributes. Idempotent, safe from several places at once. A database or Temporal server that is not up yet
 * is tried for `patienceMs`; anything else that is wrong throws at once. Returns the migrations that this call applied.
 */
export async function runMigrate(settings: Needs, patienceMs = 30_000): Promise<string[]> {
  const applied = await insist('the state database (DATABASE_URL)', patienceMs, () => migrateSchema(settings.databaseUrl))
  await insist('Temporal (TEMPORAL_ADDRESS)', patienceMs, () => register(settings.temporal))
  return applied
}

async function migrateSchema(url: string): Promise<string[]> {
  const db = openDatabase(url, { max: 1, applicationName: 'tailrace migrate' })
  try {
    return await migrate(db)
  } catch (cause) {
    if (cause instanceof SchemaError) throw new CliError(EXIT.failed, `${capital(cause.message)}.`, { cause })
    throw cause
  } finally {
    await db.end()
  }
}

async function register(temporal: Needs['temporal']): Promise<void> {
  const connection = await Connection.connect({ ...temporal.connection, connectTimeout: '5s' })
  try {
    await registerSearchAttributes(connection, temporal.namespace)
  } finally {
    await connection.close()
  }
}

async function insist<T>(what: string, patienceMs: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof CliError) throw error
      if (!isAway(error) || performance.now() > deadline) {
        throw new CliError(
          EXIT.failed,
          `Could not migrate ${what}: ${error instanceof Error ? error.message || String(error) : String(error)}`,
          { cause: error },
        )
      }
      await sleep(500)
    }
  }
}

/** Not there yet, rather than wrong: network errors, PostgreSQL starting up (57P03), gRPC UNAVAILABLE (14) and DEADLINE_EXCEEDED (4). */
function isAway(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof AggregateError && at.errors.some(isAway)) return true
    if (at.message.includes('Failed to connect before the deadline') || at.message.includes('timeout exceeded when trying to connect'))
      return true
    const code = 'code' in at ? at.code : undefined
    if (
      typeof code === 'number'
        ? [4, 14].includes(code)
        : typeof code === 'string' && /^(57P0[1-3]|08\w{3}|ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOST\w+)$/.test(code)
    )
      return true
  }
  return false
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
