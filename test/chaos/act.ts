import { reset, terminate } from '../harness/workflows.ts'
import { ask, documentsOf, isOpen, runsOf, sandbox, writeRows, type Ground } from './ground.ts'
import type { Deed, Step } from './schedule.ts'

/** What came of a step, for the journal. */
export interface Acted {
  readonly result: string
  /** The n-th process of its kind, which it killed. */
  readonly struck?: number | undefined
  /** Goes on while other steps are taken. */
  readonly pending?: Promise<void>
}

/** Carries out one step. Whatever is away then is part of the chaos: it says so in its result and never throws for it. */
export async function act(ground: Ground, step: Step): Promise<Acted> {
  const { stack, crew } = ground
  switch (step.do) {
    case 'rows':
      await writeRows(ground, step)
      return { result: 'done' }
    case 'trigger': {
      await crew.present('api')
      const answers = await Promise.all(step.options.map((options) => ask(stack, 'POST', '/v1/syncs/contacts/runs', options)))
      return { result: answers.map(({ status }) => status).join(' ') }
    }
    case 'fault':
      await sandbox(stack, 'POST', '/faults', { faults: step.faults })
      return { result: 'done' }
    case 'deed':
      return { result: await carryOut(ground, step.deed) }
    case 'config': {
      const { status } = await ask(stack, 'POST', '/v1/config/apply', { documents: documentsOf(ground, step.config) })
      return { result: String(status) }
    }
    case 'kill':
      return kill(ground, step.who)
    case 'freeze':
      crew.freeze(step.ms)
      return { result: 'done' }
    case 'move':
      return { result: 'done', pending: crew.move().then(() => undefined) }
    case 'nothing':
      return { result: 'done' }
  }
}

async function kill({ crew, servers }: Ground, who: 'worker' | 'api' | 'temporal' | 'postgres'): Promise<Acted> {
  switch (who) {
    case 'worker':
    case 'api':
      return { result: 'done', struck: await crew.kill(who) }
    case 'temporal':
      return { result: 'done', pending: (await servers.killTemporal())() }
    case 'postgres':
      return { result: 'done', pending: (await servers.killPostgres())() }
  }
}

async function carryOut({ stack }: Ground, deed: Deed): Promise<string> {
  const runs = await runsOf(stack)
  const open = runs.find(isOpen)
  if (deed === 'terminate') return orAway(() => terminate(stack))
  if (deed === 'reset to plan' || deed === 'reset to deliver') {
    // The run under way, else the last one.
    const runId = (open ?? runs[0])?.temporal.runId
    return orAway(() => reset(stack, deed === 'reset to plan' ? 'plan' : 'deliver', runId ? { runId } : {}))
  }
  return open ? String((await ask(stack, 'POST', `/v1/runs/${open.id}/${deed}`)).status) : 'no run'
}

async function orAway(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'done'
  } catch (error) {
    return `refused: ${error instanceof Error ? error.message.slice(0, 100) : String(error)}`
  }
}
