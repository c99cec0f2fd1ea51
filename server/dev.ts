import { stat } from 'node:fs/promises'
import { PassThrough, type Readable } from 'node:stream'
import pretty from 'pino-pretty'
import { CliError, EXIT } from './cli/exit.ts'
import type { Part } from './crew.ts'
import { describeEnd, startChild } from './embedded/child.ts'
import { nodeArguments } from './entry.ts'
import type { Environment } from './environment.ts'
import { startStack, type Stack } from './stack.ts'
import { toldToStop } from './told-to-stop.ts'

export interface DevOptions {
  readonly config?: string
  readonly dataDir: string
  readonly port?: number
  readonly temporalPort?: number
  readonly uiPort?: number
}

/** `tailrace dev`: resolves when a signal stopped it; throws CliError when a part did not start or ended by itself. */
export async function runDev(options: DevOptions, env: Environment): Promise<void> {
  const { config } = options
  if (config !== undefined && !(await isFolder(config))) throw new CliError(EXIT.usage, `--config ${config}: there is no such folder.`)
  const told = toldToStop()
  try {
    const { dataDir, port: apiPort, temporalPort, uiPort } = options
    const stack = await startStack({ dataDir, env, apiPort, temporalPort, uiPort, log: logSink(env), tell, signal: told.signal })
    await serve(stack, config, env, told.signal)
  } catch (error) {
    // Stopped while starting is what was asked for, and nothing is left running.
    if (!told.signal.aborted)
      throw error instanceof CliError ? error : new CliError(EXIT.failed, error instanceof Error ? error.message : String(error))
  } finally {
    told.deaf()
  }
}

async function serve(stack: Stack, config: string | undefined, env: Environment, told: AbortSignal): Promise<void> {
  try {
    if (config !== undefined) await apply(config, stack, env)
    tell(
      `Tailrace is up. API ${stack.apiUrl} (docs ${stack.apiUrl}/docs), Temporal UI ${stack.uiUrl ?? 'not known'}. Ctrl-C stops all of it.`,
    )
    const reason = await Promise.race([stack.failed, whenAborted(told)])
    if (reason !== null) throw new CliError(EXIT.failed, `Stopped, because the part ${reason}`)
    tell('Stopping.')
  } finally {
    await stack.stop()
  }
}

/** The verb itself, so that what it prints and how it fails are the same as by hand. */
async function apply(folder: string, stack: Stack, env: Environment): Promise<void> {
  const child = startChild(process.execPath, [...nodeArguments('main'), 'apply', folder], {
    env: { ...env, TAILRACE_URL: stack.apiUrl },
    log: tell,
  })
  const end = await child.ended
  if (end.code === 0) return
  const code = Object.values(EXIT).find((known) => known === end.code) ?? EXIT.failed
  throw new CliError(code, `--config ${folder} could not be applied (tailrace apply ${describeEnd(end)}).`)
}

/** api and worker log JSON lines; the servers' chatter is for those who ask for it. Everything goes to stderr. */
function logSink(env: Environment): (part: Part, line: string) => void {
  const loud = env['LOG_LEVEL'] === 'debug' || env['LOG_LEVEL'] === 'trace'
  const lines: PassThrough & Readable = new PassThrough()
  if (process.stderr.isTTY) lines.pipe(pretty({ destination: 2, sync: true, colorize: env['NO_COLOR'] === undefined }))
  else lines.pipe(process.stderr, { end: false })
  return (part, line) => {
    if (part === 'api' || part === 'worker') lines.write(`${line}\n`)
    else if (loud) tell(`${part}: ${line}`)
  }
}

function whenAborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
