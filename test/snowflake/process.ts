import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Fault } from './faults.ts'
import type { StandIn } from './stand-in.ts'

export type Report = ReturnType<StandIn['report']>

/** The stand-in in a process of its own: its memory is not the worker's, and it lives on when a test's process is killed. */
export interface SnowflakeProcess {
  readonly url: string
  readonly secrets: readonly string[]
  readonly config: StandIn['config']
  set(sql: string): Promise<void>
  ask(sql: string): Promise<string[][]>
  fault(fault: Fault): Promise<void>
  fail(): Promise<void>
  expireResults(): Promise<void>
  report(): Promise<Report>
  close(): Promise<void>
}

export type Call = {
  readonly [Name in 'set' | 'ask' | 'fault' | 'fail' | 'expireResults' | 'report']: { name: Name; input: Parameters<StandIn[Name]>[0] }
}['set' | 'ask' | 'fault' | 'fail' | 'expireResults' | 'report']

type Answer = { readonly result: unknown } | { readonly error: string }

export async function snowflakeProcess(): Promise<SnowflakeProcess> {
  const child = fork(fileURLToPath(new URL('main.ts', import.meta.url)), { execArgv: ['--import', 'tsx'] })
  const started = (await answer(child)) as Pick<StandIn, 'url' | 'secrets' | 'config'>
  let before: Promise<unknown> = Promise.resolve()
  /** One at a time, so that an answer belongs to the question. */
  const call = (question: Call): Promise<unknown> => {
    const asked = before.then(() => {
      child.send(question)
      return answer(child)
    })
    before = asked.catch(() => undefined)
    return asked
  }
  return {
    ...started,
    set: (sql) => call({ name: 'set', input: sql }).then(nothing),
    ask: async (sql) => (await call({ name: 'ask', input: sql })) as string[][],
    fault: (fault) => call({ name: 'fault', input: fault }).then(nothing),
    fail: () => call({ name: 'fail', input: undefined }).then(nothing),
    expireResults: () => call({ name: 'expireResults', input: undefined }).then(nothing),
    report: async () => (await call({ name: 'report', input: undefined })) as Report,
    async close() {
      child.disconnect()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

const nothing = (): void => undefined

async function answer(child: ChildProcess): Promise<unknown> {
  const over = new AbortController()
  const { signal } = over
  try {
    const ended = once(child, 'exit', { signal }).then(() => [{ error: 'the stand-in has ended' }])
    const [message] = (await Promise.race([once(child, 'message', { signal }), ended])) as [Answer]
    if ('error' in message) throw new Error(message.error)
    return message.result
  } finally {
    over.abort()
  }
}
