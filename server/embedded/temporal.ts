import { connect } from 'node:net'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '@temporalio/client'
import { describeEnd, startChild, type Child, type LogLine } from './child.ts'
import { livePid, recordPid } from './pid-lock.ts'
import { freePort, isFree } from './port.ts'
import { commandLine, stopProcess } from './process.ts'

export interface EmbeddedTemporal {
  readonly address: string
  /** Base of the web UI, without a trailing slash. */
  readonly uiUrl: string
  readonly child: Child
  /** Idempotent. */
  stop(): Promise<void>
}

interface Options {
  /** A Temporal CLI, as findTemporalBinary finds it. */
  readonly binary: string
  /** Where histories are kept over restarts; null: in memory. The caller makes sure that nobody else starts on it meanwhile. */
  readonly dataDir: string | null
  readonly namespace?: string
  /** Default: any free one; a port that is given and taken is an error. */
  readonly port?: number
  readonly uiPort?: number
  /** Further arguments of `temporal server start-dev`. */
  readonly extraArgs?: readonly string[]
  readonly log: LogLine
}

const READY_MS = 30_000

/** Starts Temporal's dev server on loopback. A server that a killed process left behind on this folder is stopped first. */
export async function startTemporal(options: Options): Promise<EmbeddedTemporal> {
  const namespace = options.namespace ?? 'default'
  const files = options.dataDir === null ? null : await prepareFolder(options.dataDir)
  for (const port of [options.port, options.uiPort]) {
    if (port !== undefined && !(await isFree(port))) throw new Error(`Temporal cannot start: port ${port} is in use`)
  }
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await freePort())
    const uiPort = options.uiPort ?? (await freePort())
    const args = [
      'server',
      'start-dev',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--ui-port',
      String(uiPort),
      '--namespace',
      namespace,
      '--log-level',
      'warn',
      ...(options.extraArgs ?? []),
    ]
    const child = startChild(options.binary, files === null ? args : [...args, '--db-filename', files.database], {
      env: cleanEnvironment(),
      orphanSignal: 'TERM',
      log: options.log,
    })
    if (files !== null && child.pid !== undefined) await recordPid(files.pid, child.pid)
    const stop = async (): Promise<void> => {
      await child.stop('SIGTERM', 10_000)
      if (files !== null) await rm(files.pid, { force: true })
    }
    const address = `127.0.0.1:${port}`
    if (await becomesReady(address, namespace, child)) return { address, uiUrl: `http://127.0.0.1:${uiPort}`, child, stop }
    await stop()
    // A free port may be taken between choosing and binding.
    if (/address already in use/.test(child.lastLines()) && tries < 5 && (options.port === undefined || options.uiPort === undefined))
      continue
    throw new Error(`Temporal (${options.binary}) ${describeEnd(await child.ended)}:\n${child.lastLines() || 'it said nothing'}`)
  }
}

async function prepareFolder(dataDir: string): Promise<{ readonly database: string; readonly pid: string }> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const files = { database: join(folder, 'temporal.db'), pid: join(folder, 'temporal.pid') }
  const pid = await livePid(await readFile(files.pid, 'utf8').catch(() => ''))
  if (pid !== null && (await commandLine(pid))?.includes('start-dev') === true) await stopProcess(pid, 'SIGTERM', 10_000)
  return files
}

/** Serving comes a moment before the namespace can be used, so the namespace is what is asked for. */
async function becomesReady(address: string, namespace: string, child: Child): Promise<boolean> {
  const deadline = performance.now() + READY_MS
  const waiting = (): boolean => !child.hasEnded() && performance.now() < deadline
  // Plain TCP first: a gRPC channel that was refused once waits a second before it tries again.
  while (waiting() && !(await accepts(address))) await sleep(50)
  while (waiting()) {
    const connection = await Connection.connect({ address, connectTimeout: 5000 }).catch(() => null)
    try {
      while (connection !== null && waiting()) {
        const known = await connection.workflowService.describeNamespace({ namespace }).then(
          () => true,
          () => false,
        )
        if (known) return !child.hasEnded()
        await sleep(50)
      }
    } finally {
      await connection?.close()
    }
    await sleep(50)
  }
  return false
}

function accepts(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** The user's own TEMPORAL_… names are meant for clients of another server. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')))
}
