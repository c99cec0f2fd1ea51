import type { Check } from '../contract.ts'
import type { Session } from '../pgwire/session.ts'

/** Who answers there. */
export async function greetPostgres({ client, target }: Session): Promise<Check> {
  const asked =
    "select split_part(version(), ' ', 2) as version, current_database() as database, current_user as user, pg_is_in_recovery() as replica"
  const { rows } = await client.query<{ version: string; database: string; user: string; replica: boolean }>(asked)
  const [row] = rows
  const manner = `${target.encrypted ? 'with TLS' : 'without TLS'}${row?.replica === true ? ', a replica' : ''}`
  const who = `database "${row?.database ?? ''}" as user "${row?.user ?? ''}"`
  return { ok: true, detail: `PostgreSQL ${row?.version ?? ''} at ${target.address}, ${who}, ${manner}` }
}
