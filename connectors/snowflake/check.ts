import type { Check } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { plannerProblem } from './planner-grants.ts'
import { withSession } from './session.ts'

/** Logs in and asks who answers and, where a planner's schema is configured, whether we may use it; resumes no warehouse. Throws only `cancelled`. */
export async function checkSnowflake(target: Target, signal: AbortSignal): Promise<Check> {
  try {
    return await withSession(target, signal, { tag: '{"app":"tailrace","step":"check"}', outlives: false }, async (session) => {
      const asked = 'SELECT CURRENT_VERSION(), CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_DATABASE(), CURRENT_SCHEMA()'
      const [[version, user, role, warehouse, database, schema] = []] = await session.texts(asked)
      const place = `Snowflake ${version ?? ''} at ${target.address}`
      const missing = (what: string): Check => ({
        ok: false,
        detail: `${place}: there is no ${what}, or the role "${role ?? ''}" may not use it`,
      })
      if (warehouse == null) return missing(`warehouse "${target.warehouse}"`)
      if (database == null) return missing(`database "${target.database}"`)
      const where = `database "${database}", schema "${schema ?? ''}", warehouse "${warehouse}"`
      const reached = `${place}, ${where} as user "${user ?? ''}" with role "${role ?? ''}"`
      const { plannerSchema } = target
      if (plannerSchema === null) return { ok: true, detail: reached }
      const wrong = await plannerProblem(session, { schema: plannerSchema, target })
      return wrong === null
        ? { ok: true, detail: `${reached}, compares in schema ${plannerSchema}` }
        : { ok: false, detail: `${reached}: ${wrong}` }
    })
  } catch (error) {
    if (!(error instanceof ConnectorError) || error.kind === 'cancelled') throw error
    return { ok: false, detail: error.message }
  }
}
