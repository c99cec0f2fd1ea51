import { pino } from 'pino'
import { parseFailpoints } from '../../activities/failpoints.ts'
import { makePlan } from '../../activities/plan/plan.ts'
import { armFromSettings } from '../../server/failpoints.ts'
import { openDatabase } from '../../state/database.ts'
import { planningDeps } from './planner-histories.ts'

/** Plans one run in a process of its own, which a failpoint ends: `DATABASE RUN FAILPOINTS`. */
const [url = '', run = '', failpoints = ''] = process.argv.slice(2)
armFromSettings(parseFailpoints(failpoints), pino({ level: 'silent' }))
const db = openDatabase(url, { max: 5 })
await makePlan(planningDeps(db), run, new AbortController().signal, () => undefined)
await db.end()
