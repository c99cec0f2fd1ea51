import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from '../environment.ts'
import { ApiError, apiClient, type ApiClient } from './api-client.ts'
import { CliError, EXIT, type ExitCode } from './exit.ts'
import { readAnswer, Run } from './run-answers.ts'
import { printJson, summaryLines } from './run-output.ts'
import { runProgress } from './run-progress.ts'

export interface RunCommandOptions {
  readonly wait?: boolean
  readonly timeout?: number
  readonly full?: boolean
  readonly verify?: boolean
  readonly dryRun?: boolean
  readonly adopt?: boolean
  readonly onConflict?: string
  readonly json?: boolean
}

const POLL_S = 2
const OUTAGE_PAUSE_MS = 2_000

/** `tailrace run`. Gives the exit code of the contract; throws CliError when the run was refused or the time is up. */
export async function runCommand(sync: string, options: RunCommandOptions, env: Environment): Promise<ExitCode> {
  const client = apiClient(env)
  const { full, verify, dryRun, adopt, onConflict } = options
  const body = Object.fromEntries(Object.entries({ full, verify, dryRun, adopt, onConflict }).filter(([, value]) => value !== undefined))
  const accepted = readAnswer(Run, await client.post(`/v1/syncs/${encodeURIComponent(sync)}/runs`, body))
  if (options.wait !== true) {
    if (options.json === true) printJson(accepted)
    else process.stdout.write(`${accepted.id}\n`)
    process.stderr.write(
      `Run ${accepted.id} of ${accepted.sync} is ${accepted.state}; \`tailrace runs ${accepted.sync}\` shows how it goes.\n`,
    )
    return EXIT.done
  }
  process.stderr.write(`Run ${accepted.id} of ${accepted.sync}${accepted.temporal.url === null ? '' : `, ${accepted.temporal.url}`}\n`)
  const run = await follow(client, accepted, options.timeout ?? null)
  if (options.json === true) printJson(run)
  else process.stdout.write(`${summaryLines(run).join('\n')}\n`)
  if (run.state === 'awaiting_approval') {
    process.stderr.write(`It waits for approval: \`tailrace approve ${run.id}\` or \`tailrace reject ${run.id}\`.\n`)
  }
  return exitCodeOf(run.state)
}

function exitCodeOf(state: string): ExitCode {
  switch (state) {
    case 'succeeded':
      return EXIT.done
    case 'partial':
      return EXIT.differences
    case 'awaiting_approval':
      return EXIT.waiting
    default:
      return EXIT.failed
  }
}

const OVER: ReadonlySet<string> = new Set(['succeeded', 'partial', 'failed', 'cancelled', 'awaiting_approval'])

/** Until the run has ended or waits for a person. An API that is away for a while is waited for. */
async function follow(client: ApiClient, accepted: Run, timeoutSeconds: number | null): Promise<Run> {
  const deadline = timeoutSeconds === null ? Infinity : performance.now() + timeoutSeconds * 1000
  const progress = runProgress(process.stderr)
  try {
    for (let run = accepted; ;) {
      progress.update(run)
      if (OVER.has(run.state)) return run
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) {
        throw new CliError(
          EXIT.failed,
          `Run ${run.id} is still ${run.state} after ${timeoutSeconds} s; it goes on, only the waiting ends here.`,
        )
      }
      run = (await look(client, run.id, Math.min(POLL_S, leftMs / 1000))) ?? run
    }
  } finally {
    progress.stop()
  }
}

/** Null: the API did not answer this time. */
async function look(client: ApiClient, id: string, seconds: number): Promise<Run | null> {
  try {
    return readAnswer(Run, await client.get(`/v1/runs/${id}?wait=${seconds.toFixed(3)}`))
  } catch (error) {
    const away =
      error instanceof ApiError ? error.status >= 500 || error.status === 429 : error instanceof CliError && error.cause !== undefined
    if (!away) throw error
    await sleep(OUTAGE_PAUSE_MS)
    return null
  }
}
