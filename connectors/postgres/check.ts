import type { Check } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { withSession } from './session.ts'

/** Connects and asks who answers. Throws only `cancelled`. */
export async function checkPostgres(target: Target, signal: AbortSignal): Promise<Check> {
  try {
    return await withSession(target, signal, 30, async ({ client }) => {
      const asked =
        "select split_part(version(), ' ', 2) as version, current_database() as database, current_user as user, pg_is_in_recovery() as replica"
      const { rows } = await client.query<{ version: string; database: string; user: string; replica: boolean }>(asked)
      const [row] = rows
      const manner = `${target.encrypted ? 'with TLS' : 'without TLS'}${row?.replica === true ? ', a replica' : ''}`
      const who = `database "${row?.database ?? ''}" as user "${row?.user ?? ''}"`
      return { ok: true, detail: `PostgreSQL ${row?.version ?? ''} at ${target.address}, ${who}, ${manner}` }
    })
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind === 'cancelled') throw error
    return { ok: false, detail: error.message }
  }
}
