import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Connection } from '@temporalio/client'
import { findTemporalBinary } from '../../server/embedded/temporal-binary.ts'
import { startTemporal } from '../../server/embedded/temporal.ts'
import { identity } from '../../server/embedded/process.ts'
import { registerSearchAttributes, SEARCH_ATTRIBUTES } from '../../server/search-attributes.ts'
import { endOf, startProgram } from '../harness/program.ts'

const START = `
  import { startTemporal } from './server/embedded/temporal.ts'
  const [binary, dataDir] = process.argv.slice(1)
  const { address, child } = await startTemporal({ binary, dataDir, log: () => {} })
  console.log(JSON.stringify({ address, pid: child.pid }))
  setInterval(() => {}, 1000)
`

async function attributes(address: string, change: (connection: Connection) => Promise<unknown>): Promise<Record<string, unknown>> {
  const connection = await Connection.connect({ address })
  try {
    await change(connection)
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' })
    return customAttributes
  } finally {
    await connection.close()
  }
}

describe('the embedded Temporal', () => {
  let folder = ''
  let binary = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-temporal-'))
    binary = await findTemporalBinary({ configured: process.env['TAILRACE_TEMPORAL_BINARY'] ?? null, env: process.env, tell: () => {} })
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('learns our search attributes, from several places at once and again, and keeps them over a kill of its parent', async () => {
    const program = startProgram(['--input-type=module', '--import', 'tsx', '-e', START, binary, join(folder, 'kept')])
    const first = await program.firstJson<{ address: string; pid: number }>()
    const register = (connection: Connection): Promise<void> => registerSearchAttributes(connection, 'default')
    const known = await Promise.all([1, 2, 3].map(() => attributes(first.address, register)))
    for (const name of SEARCH_ATTRIBUTES) assert.equal(known[0]?.[name], 2)
    program.kill('SIGKILL')
    await endOf(program)

    const second = await startTemporal({ binary, dataDir: join(folder, 'kept'), log: () => {} })
    try {
      assert.equal(await identity(first.pid), null)
      const kept = await attributes(second.address, async () => {})
      for (const name of SEARCH_ATTRIBUTES) assert.equal(kept[name], 2)
      assert.equal((await fetch(second.uiUrl)).status, 200)
    } finally {
      await second.stop()
    }
    assert.equal(await identity(second.child.pid ?? 0), null)
  })

  test('with a search attribute of another type is refused', async () => {
    const server = await startTemporal({ binary, dataDir: null, log: () => {} })
    try {
      const spoil = (connection: Connection): Promise<unknown> =>
        connection.operatorService.addSearchAttributes({
          namespace: 'default',
          searchAttributes: Object.fromEntries([['TailracePhase', 1]]),
        })
      await attributes(server.address, spoil)
      const register = (connection: Connection): Promise<void> => registerSearchAttributes(connection, 'default')
      await assert.rejects(attributes(server.address, register), /TailracePhase with a type other than Keyword/)
    } finally {
      await server.stop()
    }
  })

  test('tells which port is taken and why a program is no Temporal CLI', async () => {
    const server = await startTemporal({ binary, dataDir: null, log: () => {} })
    try {
      const port = Number(server.address.split(':')[1])
      await assert.rejects(startTemporal({ binary, dataDir: null, port, log: () => {} }), new RegExp(`port ${port} is in use`))
    } finally {
      await server.stop()
    }
    const search = { env: {}, tell: () => {} }
    await assert.rejects(
      findTemporalBinary({ ...search, configured: '/nowhere/temporal' }),
      /TAILRACE_TEMPORAL_BINARY .* not an executable/,
    )
    await assert.rejects(findTemporalBinary({ ...search, configured: process.execPath }), /does not name a Temporal server/)
  })

  test('takes a good temporal on PATH before the cache, and leaves out an old one', async () => {
    const [old, good, cache] = [join(folder, 'old'), join(folder, 'good'), join(folder, 'cache')]
    for (const [path, server] of [
      [join(old, 'temporal'), '1.20.1'],
      [join(good, 'temporal'), '1.29.1'],
      [join(cache, 'tailrace/temporal-1.5.1/temporal'), '1.29.1'],
    ] as const) {
      await mkdir(join(path, '..'), { recursive: true })
      await writeFile(path, `#!/bin/sh\necho 'temporal version 1.0.0 (Server ${server}, UI 2.0.0)'\n`)
      await chmod(path, 0o755)
    }
    const find = (path: string): Promise<string> =>
      findTemporalBinary({ configured: null, env: { PATH: path, XDG_CACHE_HOME: cache }, tell: () => {} })
    assert.equal(await find(`/nowhere:${old}:${good}`), join(good, 'temporal'))
    assert.equal(await find(old), join(cache, 'tailrace/temporal-1.5.1/temporal'))
  })

  test('when nothing brings a binary, all that was tried is listed with what to install', async () => {
    const env = { PATH: join(folder, 'old'), XDG_CACHE_HOME: join(folder, 'empty'), HTTPS_PROXY: 'http://127.0.0.1:9' }
    await assert.rejects(findTemporalBinary({ configured: null, env, tell: () => {} }), (error) => {
      assert.ok(error instanceof Error)
      for (const part of [/server 1\.20/, /SDK's own download: /, /go install .*: no Go on PATH/, /TAILRACE_TEMPORAL_BINARY/])
        assert.match(error.message, part)
      return true
    })
  })
})
