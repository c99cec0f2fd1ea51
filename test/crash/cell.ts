import assert from 'node:assert/strict'
import type { Failpoint } from '../../activities/failpoints.ts'
import type { Role } from '../harness/stack.ts'
import { succeeded, type Count, type Ground } from './ground.ts'
import type { Way } from './ways.ts'

/** Who goes on: the same worker started again, or another one that lives already. */
export type Successor = 'restarted' | 'second alive'

export interface CrashCell {
  readonly failpoint: Failpoint
  /** The process is killed when it passes for the n-th time. */
  readonly pass: number
  readonly successor: Successor
  /** How often: every process that takes over dies at the same place. */
  readonly deaths: number
}

/**
 * One cell of the crash matrix: a sync is loaded, the way leads past the failpoint, the process that passes it is killed, others go
 * on. Every run has to succeed; the destination is counted.
 */
export async function crash(ground: Ground, way: Way, { failpoint, pass, successor, deaths }: CrashCell): Promise<Count> {
  await ground.crew(successor === 'restarted' || way.role === 'api' ? 1 : 2)
  const config = way.byJobs ? ground.destination.jobs?.config : {}
  await ground.fresh(config, way.compared ? { plannerSchema: 'planner' } : {})
  await ground.run()
  await way.before?.(ground)
  const spec = `${failpoint}=kill@${pass}`
  const armed = way.role === 'api' ? [ground.api] : [...ground.workers]
  for (const role of armed) await role.arm(spec)
  const [go] = await Promise.all([way.start(ground), replaced(ground, way, armed, spec, deaths)])
  for (const run of await go.runs()) succeeded(await ground.ended(run))
  return ground.count(way.versions(ground))
}

/** Waits for the kill and sees to it that somebody goes on. */
async function replaced(ground: Ground, way: Way, armed: readonly Role[], spec: string, deaths: number): Promise<void> {
  const victim = await firstToEnd(armed)
  assert.match(victim.output(), new RegExp(`failpoint ${spec.replace('=kill@', ' pass ')}: kill`), victim.output())
  if (way.role === 'api') {
    ground.api = await ground.stack.start('api', { TAILRACE_FAILPOINTS: 'none' })
    return
  }
  ground.workers.splice(ground.workers.indexOf(victim), 1)
  for (const other of ground.workers) await other.arm('')
  if (deaths > 1) return replaced(ground, way, [await ground.hire(spec)], spec, deaths - 1)
  if (ground.workers.length === 0) await ground.hire()
}

const PATIENCE_MS = 120_000

async function firstToEnd(roles: readonly Role[]): Promise<Role> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('nobody passed the failpoint')), PATIENCE_MS)
  })
  try {
    return await Promise.race([late, ...roles.map((role) => role.ended.then(() => role))])
  } finally {
    clearTimeout(timer)
  }
}
