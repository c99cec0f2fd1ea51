import pg from 'pg'

/** The state database. Numbers are JavaScript numbers (int8 included: our ids and counts stay far below 2^53). */
export type Database = pg.Pool

const INT8 = 20
const types = new pg.TypeOverrides()
types.setTypeParser(INT8, Number)

/**
 * A pool on the state database; opens no connection yet, so it never throws for a database that is away. A lost connection
 * is replaced by the next query; the query that was on it rejects. The caller ends it.
 */
export function openDatabase(url: string, options: { readonly max?: number; readonly applicationName?: string } = {}): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max ?? 10,
    application_name: options.applicationName ?? 'tailrace',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
  })
  // Without these a connection that is lost while nobody queries it ends the process; the next query reports the loss.
  pool.on('error', ignore)
  pool.on('connect', (client) => client.on('error', ignore))
  return pool
}

function ignore(): void {}

/**
 * Runs `fn` in one READ COMMITTED transaction: committed when it resolves, rolled back when it throws. Not retried. A
 * rejection of the commit itself leaves open whether it was committed.
 */
export async function inTransaction<T>(db: Database, fn: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await db.connect()
  let broken: Error | boolean = false
  try {
    await client.query('begin')
    const result = await fn(client)
    // PostgreSQL answers ROLLBACK, not an error, when a statement before had failed and fn went on regardless.
    const { command } = await client.query('commit')
    if (command !== 'COMMIT') throw new Error('the transaction was rolled back: a statement in it had failed')
    return result
  } catch (error) {
    await client.query('rollback').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : true
    })
    throw error
  } finally {
    client.release(broken)
  }
}
