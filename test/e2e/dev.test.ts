import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../harness/eventually.ts'
import { descendants, survivors, type Process } from '../harness/processes.ts'
import { endOf, startProgram, type Program } from '../harness/program.ts'

/** Needs dist/ (`npm run build`): what is tested is the command as a user has it. */
describe('tailrace dev', { skip: process.platform === 'linux' ? false : 'reads /proc' }, () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-dev-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const startDev = (...args: string[]): Program => {
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(TEMPORAL_|TAILRACE_(?!TEMPORAL_BINARY)|DATABASE_URL)/.test(name)),
    )
    return startProgram(['dist/server/main.js', 'dev', '--data-dir', join(folder, 'data'), '--port', '0', ...args], { env })
  }
  const isUp = (dev: Program): Promise<unknown> => dev.says(/Tailrace is up\. API (http:\S+) /)
  const part = (processes: readonly Process[], pattern: RegExp): Process => {
    const found = processes.find(({ command }) => pattern.test(command))
    assert.ok(found, `no process like ${pattern} among\n${processes.map(({ command }) => command).join('\n')}`)
    return found
  }
  const leavesNothing = async (dev: Program, processes: readonly Process[]): Promise<void> => {
    assert.ok(processes.length >= 4, 'api, worker, Temporal and PostgreSQL were running')
    assert.deepEqual(await survivors(processes), [], dev.stderr())
  }

  test('SIGTERM stops all of it, and so does Ctrl-C while it starts', async () => {
    const early = startDev()
    await eventually('its data folder', async () => (await readdir(folder)).includes('data'))
    early.kill('SIGINT')
    assert.deepEqual(await endOf(early), { code: 0, signal: null }, early.stderr())
    assert.doesNotMatch(early.stderr(), /is up/)

    const dev = startDev()
    await isUp(dev)
    const processes = await descendants(dev.pid)
    dev.kill('SIGTERM')
    assert.deepEqual(await endOf(dev), { code: 0, signal: null }, dev.stderr())
    await leavesNothing(dev, processes)
    assert.deepEqual((await readdir(join(folder, 'data'))).sort(), ['postgres', 'temporal'])
  })

  // `npx tailrace dev`, ended by SIGTERM to npx: npm passes it to its shell only, and everything went on as orphans.
  test('started by npm, the end of its shell ends it', async () => {
    const shell = spawn(
      'sh',
      ['-c', '"$0" dist/server/main.js dev --data-dir "$1" --port 0; true', process.execPath, join(folder, 'data')],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], npm_command: 'exec' },
      },
    )
    let said = ''
    await new Promise<void>((resolve, reject) => {
      shell.stderr.on('data', (chunk: Buffer) => ((said += chunk.toString()).includes('Tailrace is up') ? resolve() : undefined))
      shell.once('exit', () => reject(new Error(`it ended before it was up:\n${said}`)))
    })
    const processes = await descendants(shell.pid ?? 0)
    assert.ok(processes.length >= 5, 'tailrace, api, worker, Temporal and PostgreSQL were running')
    shell.kill('SIGTERM')
    assert.deepEqual(await survivors(processes), [], said)
  })

  test('a second one on the same folder is refused, and one on a taken port too', async () => {
    const dev = startDev()
    await isUp(dev)
    const second = startDev()
    assert.equal((await endOf(second)).code, 1)
    assert.match(second.stderr(), new RegExp(`data is in use by process ${dev.pid}: `))
    dev.kill('SIGTERM')
    await endOf(dev)

    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    assert.ok(typeof address === 'object' && address !== null)
    const refused = startDev('--port', String(address.port))
    assert.equal((await endOf(refused)).code, 1)
    assert.match(refused.stderr(), new RegExp(`Port ${address.port} for the API is in use`))
    taken.close()
  })

  test('when a part ends by itself it says which and stops the rest', async () => {
    for (const [name, pattern] of [
      ['worker', /main\.js worker/],
      ['database', /bin\/postgres -D/],
    ] as const) {
      const dev = startDev()
      await isUp(dev)
      const processes = await descendants(dev.pid)
      process.kill(part(processes, pattern).pid, 'SIGKILL')
      assert.deepEqual(await endOf(dev), { code: 1, signal: null }, dev.stderr())
      assert.match(dev.stderr(), new RegExp(`Stopped, because the part ${name} was ended by SIGKILL`))
      await leavesNothing(dev, processes)
    }
  })

  test('killed, it takes its parts with it, and the next start just works', async () => {
    const dev = startDev()
    await isUp(dev)
    const processes = await descendants(dev.pid)
    dev.kill('SIGKILL')
    const next = startDev()
    await isUp(next)
    await leavesNothing(dev, processes)
    next.kill('SIGINT')
    assert.deepEqual(await endOf(next), { code: 0, signal: null }, next.stderr())
  })

  test('tells of a configuration folder that is not there before anything is started', async () => {
    const dev = startDev('--config', join(folder, 'nowhere'))
    assert.equal((await endOf(dev)).code, 64)
    assert.match(dev.stderr(), /nowhere: there is no such folder/)
  })
})
