import { once } from 'node:events'
import { startSandbox } from '../connectors/sandbox/start.ts'

/**
 * `tailrace sandbox`: serves the stand-ins until SIGINT or SIGTERM. The address goes to stdout, the rest to stderr. Rejects if the
 * port is taken.
 */
export async function runSandbox(options: { port?: number; host?: string } = {}): Promise<void> {
  const sandbox = await startSandbox(options)
  // Before anything is said: who reads it may stop us in the same moment.
  const stop = new AbortController()
  const told = Promise.race([once(process, 'SIGINT', { signal: stop.signal }), once(process, 'SIGTERM', { signal: stop.signal })])
  process.stdout.write(`${sandbox.url}\n`)
  const systems = [...sandbox.state.standIns.keys()].map((slug) => `${sandbox.url}/${slug}`).join(' ')
  process.stderr.write(`stand-ins: ${systems}; control routes: ${sandbox.url}/_sandbox/; stop with Ctrl-C\n`)
  await told
  stop.abort()
  await sandbox.close()
}
