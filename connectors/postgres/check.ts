import type { Check } from '../contract.ts'
import type { Session } from '../pgwire/session.ts'
import { GRANTS, plannerObstacle } from './planner.ts'

/** Who answers there and, where a planner's schema is configured, whether comparing inside it can work. */
export async function greetPostgres(session: Session, plannerSchema: string | null): Promise<Check> {
  const { client, target } = session
  const asked =
    "select split_part(version(), ' ', 2) as version, current_database() as database, current_user as user, pg_is_in_recovery() as replica"
  const { rows } = await client.query<{ version: string; database: string; user: string; replica: boolean }>(asked)
  const [row] = rows
  const manner = `${target.encrypted ? 'with TLS' : 'without TLS'}${row?.replica === true ? ', a replica' : ''}`
  const who = `database "${row?.database ?? ''}" as user "${row?.user ?? ''}"`
  const reached = `PostgreSQL ${row?.version ?? ''} at ${target.address}, ${who}, ${manner}`
  if (plannerSchema === null) return { ok: true, detail: reached }
  const wrong =
    row?.replica === true ? 'plannerSchema cannot be used on a replica; leave it out' : await plannerProblem(session, plannerSchema)
  return wrong === null
    ? { ok: true, detail: `${reached}, compares in schema "${plannerSchema}"` }
    : { ok: false, detail: `${reached}: ${wrong}` }
}

async function plannerProblem({ client }: Session, schema: string): Promise<string | null> {
  const { rows } = await client.query<{ version: string; encoding: string; there: boolean; allowed: boolean | null; temporary: boolean }>(
    `select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding, n.oid is not null as there,
       has_schema_privilege(n.oid, 'usage') and has_schema_privilege(n.oid, 'create') as allowed,
       has_database_privilege(current_database(), 'temporary') as temporary
     from (select $1::text as name) wanted left join pg_namespace n on n.nspname = wanted.name`,
    [schema],
  )
  const [row] = rows
  if (row === undefined || !row.there) return `plannerSchema "${schema}" is not there: ${GRANTS(schema)}`
  if (row.allowed !== true) return `plannerSchema "${schema}" may not be written by our user: ${GRANTS(schema)}`
  if (!row.temporary) return `comparing in plannerSchema needs temporary tables: grant temporary on database … to our user`
  return plannerObstacle({ major: Math.floor(Number(row.version) / 10_000), encoding: row.encoding })
}
