import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/embedded/postgres.ts'
import { findTemporalBinary } from '../server/embedded/temporal-binary.ts'
import { startTemporal } from '../server/embedded/temporal.ts'
import { infraTools } from './harness/infra-tools.ts'

/**
 * Runs the given test files, or all, against one embedded PostgreSQL and one Temporal dev server:
 * TAILRACE_TEST_PG is the superuser's URL, TAILRACE_TEST_TEMPORAL is host:port. Both are stopped however it ends.
 */
const files = process.argv.slice(2)
process.exitCode = await runSuite(files.length > 0 ? files : await allTests())

async function runSuite(tests: readonly string[]): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tailrace-test-'))
  const stops: (() => Promise<void>)[] = [() => rm(dataDir, { recursive: true, force: true })]
  try {
    const tell = (line: string): void => void process.stderr.write(`${line}\n`)
    const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres'), maxConnections: 300, log: () => {} })
    stops.unshift(() => postgres.stop())
    const binary = await findTemporalBinary({ configured: process.env['TAILRACE_TEMPORAL_BINARY'] ?? null, env: process.env, tell })
    // Before the tests, whose time is bounded; where they cannot be built, the tests that need them skip and say why.
    if (files.length === 0) await infraTools(tell)
    const temporal = await startTemporal({ binary, dataDir: null, log: () => {} })
    stops.unshift(() => temporal.stop())
    return await runNode(tests, { ...process.env, TAILRACE_TEST_PG: postgres.url, TAILRACE_TEST_TEMPORAL: temporal.address })
  } finally {
    for (const stop of stops) await stop()
  }
}

function runNode(tests: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // A file that hangs ends after ten minutes (a whole matrix: two hours); the slowest takes three. The runner alone decides when to
  // end: a signal goes to it, and its end brings ours.
  const timeoutMs = env['TAILRACE_MATRIX'] === 'whole' ? 7_200_000 : 600_000
  const runner = spawn(process.execPath, ['--import', 'tsx', '--test', '--test-concurrency=2', `--test-timeout=${timeoutMs}`, ...tests], {
    stdio: 'inherit',
    env,
  })
  const forward = (signal: NodeJS.Signals): void => void runner.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    runner.once('error', reject)
    runner.once('exit', (code) => resolve(code ?? 1))
  })
}

async function allTests(): Promise<string[]> {
  const entries = await readdir('test', { recursive: true })
  return entries
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .sort()
}
