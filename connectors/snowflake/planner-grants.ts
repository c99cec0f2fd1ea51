import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { dropTable } from './planner-sql.ts'
import type { Session } from './session.ts'

/** Snowflake does not tell apart what is not there and what our role may not see. */
export const MISSING = new Set(['002003', '002043'])
const REFUSED = '003001'

const GRANTS = (schema: string, role: string): string =>
  `create the schema ${schema} and let our role make tables in it: grant usage, create table on schema ${schema} to role ${role}`

/** The refusals of Snowflake concern our tables here, not the model, which it has compiled before. */
export async function explained<T>(schema: string, { role }: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind !== 'query' || error.code === null) throw error
    const { code } = error
    const more = { code, cause: error }
    const where = `plannerSchema ${schema}`
    const wrong =
      code === REFUSED ? 'may not be written by our role' : MISSING.has(code) ? 'is not there, or our role may not use it' : null
    if (wrong !== null)
      throw new ConnectorError('config', `${where} ${wrong} (${code}): ${GRANTS(schema, role)}; or leave plannerSchema out`, more)
    throw new ConnectorError('query', `comparing in ${where} failed (${code})`, more)
  }
}

/** What `doctor` says of a schema: a table is made and dropped, as grants may come by roles within roles. Needs no warehouse. */
export async function plannerProblem(session: Session, { schema, target }: { schema: string; target: Target }): Promise<string | null> {
  const table = `${schema}."TAILRACE_CHECK"`
  const tag = JSON.stringify({ app: 'tailrace', step: 'check' })
  try {
    await explained(schema, target, () => session.command(`CREATE OR REPLACE TRANSIENT TABLE ${table} (K NUMBER)`, { tag }))
    await session.command(dropTable(table), { tag })
    return null
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind !== 'config') throw error
    return error.message
  }
}
