import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { Connection } from '@temporalio/client'
import { startSandbox } from '../../connectors/sandbox/start.ts'
import { freePort } from '../../server/embedded/port.ts'
import { runMigrate } from '../../server/migrate.ts'
import { workerSettings } from '../../server/settings.ts'
import { freshDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { watchForLeaks } from './leaks.ts'

const CLI = new URL('../../dist/server/main.js', import.meta.url)

/** A process of the product under test; `kill` is SIGKILL and waits until it is gone. */
export interface Role {
  readonly process: ChildProcess
  output(): string
  /** Secrets and row values that it printed (test/harness/leaks.ts). */
  readonly leaks: readonly string[]
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>
  kill(): Promise<void>
  /** Arms these failpoints and no others (activities/failpoints.ts); the process was started with TAILRACE_FAILPOINTS, `none` at least. */
  arm(failpoints: string): Promise<void>
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
}

export type Stack = Awaited<ReturnType<typeof startStack>>

/** Servers of a test's own in place of the suite's, to be killed: the state database's PostgreSQL (URL), Temporal (host:port). */
export interface OwnServers {
  readonly postgres?: string
  readonly temporal?: string
}

/**
 * A whole installation of its own: state database, Temporal namespace, warehouse database, sandbox, and real processes of the
 * compiled product. Needs TAILRACE_TEST_PG and TAILRACE_TEST_TEMPORAL (test/run.ts).
 */
export async function startStack(extraEnv: Record<string, string> = {}, own: OwnServers = {}) {
  const temporal = own.temporal ?? process.env['TAILRACE_TEST_TEMPORAL']
  if (!temporal) throw new Error('TAILRACE_TEST_TEMPORAL is not set: run the tests by `npm test` or `npm run test:only -- FILE…`')
  const [state, warehouse, sandbox, port] = await Promise.all([
    freshDatabase('', own.postgres),
    freshDatabase(),
    startSandbox({ port: 0 }),
    freePort(),
  ])
  const namespace = `t-${randomBytes(6).toString('hex')}`
  await createNamespace(temporal, namespace)
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    DATABASE_URL: state.url,
    TEMPORAL_ADDRESS: temporal,
    TEMPORAL_NAMESPACE: namespace,
    TAILRACE_PORT: String(port),
    TAILRACE_URL: `http://127.0.0.1:${port}`,
    TAILRACE_METRICS_PORT: '0',
    LOG_LEVEL: 'warn',
    WAREHOUSE_URL: warehouse.url,
    WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
    HUBSPOT_TOKEN: 'pat-test-token',
    SALESFORCE_SECRET: 'salesforce-test-secret',
    ...extraEnv,
  }
  await runMigrate(workerSettings(env))
  const roles: Role[] = []

  const start = async (verb: 'api' | 'worker', more: Record<string, string> = {}, cli: string | URL = CLI): Promise<Role> => {
    const role = await startRole(cli, verb, { ...env, ...more })
    roles.push(role)
    return role
  }

  const call = async (method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${env['TAILRACE_URL']}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) }
  }

  /** Asks for the run, `seconds` apart, until it has ended or `seen` says that this is it. */
  const watch = async (id: string, seconds: number, seen: (run: Run) => boolean): Promise<Run> => {
    const limit = performance.now() + 90_000
    for (;;) {
      const { body } = await call('GET', `/v1/runs/${id}?wait=${seconds}`)
      const run = body as unknown as Run
      if (ENDED.includes(run.state) || seen(run)) return run
      if (performance.now() > limit)
        throw new Error(`run ${id} is still ${run.state}: ${JSON.stringify(run)}\n${roles.map((role) => role.output()).join('\n')}`)
    }
  }

  return {
    env,
    namespace,
    temporal,
    sandbox,
    state: state.pool,
    warehouse: warehouse.pool,
    start,
    call,
    /** Applies documents through the API; throws what is wrong with them. */
    async apply(documents: readonly object[]): Promise<void> {
      const answer = await call('POST', '/v1/config/apply', { documents })
      if (answer.status !== 200) throw new Error(`apply: ${answer.status} ${JSON.stringify(answer.body)}`)
    },
    /** Starts a run and waits until it has ended or reached one of the given states. */
    async run(sync: string, options: object = {}, until: readonly string[] = []): Promise<Run> {
      const accepted = await call('POST', `/v1/syncs/${sync}/runs`, options)
      if (accepted.status !== 202) throw new Error(`run: ${accepted.status} ${JSON.stringify(accepted.body)}`)
      return this.ended(String(accepted.body['id']), until)
    },
    ended(id: string, until: readonly string[] = []): Promise<Run> {
      return watch(id, until.length > 0 ? 1 : 30, ({ state }) => until.includes(state))
    },
    /** The run as soon as it waits for something, or has ended. */
    waiting(id: string): Promise<Run> {
      return watch(id, 1, ({ waiting }) => waiting !== null)
    },
    async stop(): Promise<void> {
      await Promise.all(roles.map((role) => role.kill()))
      await sandbox.close()
      await Promise.all([state.drop(), warehouse.drop()])
      const leaks = roles.flatMap((role) => role.leaks)
      if (leaks.length > 0) throw new Error(`a process printed a secret or a row value: …${leaks.join('…\n…')}…`)
    },
  }
}

const ENDED = ['succeeded', 'partial', 'failed', 'cancelled']

export interface Run {
  readonly id: string
  readonly state: string
  readonly full: boolean
  readonly dryRun: boolean
  readonly counts: Record<string, number>
  readonly waiting: { readonly reason: string; readonly until: string | null } | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly temporal: { readonly workflowId: string; readonly runId: string; readonly url: string }
}

async function startRole(cli: string | URL, verb: string, env: Record<string, string>): Promise<Role> {
  // Without the arguments of the runner: tsx doubled the CPU of every start (0.8 to 1.7 s).
  const child = fork(cli, [verb], { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const leaks = watchForLeaks(child, env)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)))
  const exited = once(child, 'exit')
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  await Promise.race([
    new Promise<void>((resolve) => child.on('message', () => resolve())),
    exited.then(() => Promise.reject(new Error(`${verb} ended before it was ready:\n${output}`))),
  ])
  return {
    process: child,
    output: () => output,
    leaks,
    ended: exited.then(() => undefined),
    async arm(failpoints) {
      const answered = once(child, 'message')
      child.send({ failpoints })
      await answered
    },
    kill: async () => {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
  }
}

async function createNamespace(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address })
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as unknown as Long },
    })
    await eventually(`namespace ${namespace}`, () => connection.workflowService.countWorkflowExecutions({ namespace }).catch(() => null))
  } finally {
    await connection.close()
  }
}
