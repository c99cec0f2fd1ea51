import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../../connectors/sandbox/start.ts'
import { isFree } from '../embedded/port.ts'
import type { Environment } from '../environment.ts'
import { startStack, type Stack } from '../stack.ts'
import { createWarehouse } from './data.ts'

export interface Booted {
  readonly stack: Stack
  readonly sandboxUrl: string
  readonly webhookSecret: string
  readonly warehouseUrl: string
  /** What the configuration names instead of the address, which holds a password. */
  readonly warehouseReference: string
  /** Everything down, the folder gone. Idempotent; never rejects. */
  stop(): Promise<void>
}

interface Options {
  readonly env: Environment
  readonly rows: number
  /** Take the usual ports where they are free, for links that are easy to type. */
  readonly usualPorts: boolean
  readonly tell: (line: string) => void
  readonly signal: AbortSignal
}

/** Everything that the demo needs, in a folder of its own below the system's temporary one. Rejects with nothing left running. */
export async function boot({ env, rows, usualPorts, tell, signal }: Options): Promise<Booted> {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-demo-'))
  const stops: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true, maxRetries: 5 })]
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => (stopped ??= stopAll(stops, tell))
  try {
    // In this process, which has little else to do meanwhile: with one of its own the demo took a fifth longer on two cores.
    const sandbox = await startSandbox()
    stops.unshift(() => sandbox.close())
    const secrets = join(folder, 'secrets')
    const webhookSecret = `whsec_${randomBytes(24).toString('base64')}`
    const stack = await startStack({
      dataDir: join(folder, 'data'),
      env: {
        ...withoutUsersOwn(env),
        TAILRACE_SECRETS_DIR: secrets,
        HUBSPOT_TOKEN: 'pat-demo',
        SALESFORCE_SECRET: 'demo',
        WEBHOOK_SECRET: webhookSecret,
        LOG_LEVEL: env['LOG_LEVEL'] ?? 'warn',
        TAILRACE_METRICS_PORT: '0',
      },
      apiPort: usualPorts && (await isFree(8080)) ? 8080 : 0,
      ...(usualPorts ? {} : { temporalPort: 0, uiPort: 0 }),
      log: (part, line) => {
        if (part === 'api' || part === 'worker') tell(`${part}: ${line}`)
      },
      tell,
      signal,
    })
    stops.unshift(() => stack.stop())
    const warehouseUrl = await createWarehouse(stack.databaseUrl, rows)
    const file = join(secrets, 'warehouse-url')
    await mkdir(secrets, { mode: 0o700 })
    await writeFile(file, warehouseUrl, { mode: 0o600 })
    return { stack, sandboxUrl: sandbox.url, webhookSecret, warehouseUrl, warehouseReference: `\${file:${file}}`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function stopAll(stops: readonly (() => Promise<void>)[], tell: (line: string) => void): Promise<void> {
  for (const stop of stops) await stop().catch((error: unknown) => tell(`could not be stopped or removed: ${String(error)}`))
}

/** The demo runs on what it brings: a database or a Temporal of the user's own must not get its syncs. */
function withoutUsersOwn(env: Environment): Environment {
  const foreign = /^(DATABASE_URL|TEMPORAL_|OTEL_|PG|TAILRACE_(?!TEMPORAL_BINARY$))/
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name)))
}
