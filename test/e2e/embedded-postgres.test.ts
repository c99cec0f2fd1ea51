import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, unlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { postgresBinaries } from '../../server/embedded/postgres-binaries.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../server/embedded/postgres.ts'
import { identity } from '../../server/embedded/process.ts'
import { endOf, startProgram } from '../harness/program.ts'

const START = `
  import { startEmbeddedPostgres } from './server/embedded/postgres.ts'
  const { url, child } = await startEmbeddedPostgres({ dataDir: process.argv[1], log: () => {} })
  console.log(JSON.stringify({ url, pid: child.pid }))
  setInterval(() => {}, 1000)
`

async function ask<T extends pg.QueryResultRow>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

describe('the embedded PostgreSQL', () => {
  let folder = ''
  const start = (): Promise<EmbeddedPostgres> => startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), log: () => {} })
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-postgres-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('is UTF8, durable, and on loopback only, behind a password in a private file', async () => {
    const server = await start()
    const names = ['server_encoding', 'fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'jit', 'lc_collate']
    const [row] = await ask(server.url, `select ${names.map((name) => `current_setting('${name}', true) as ${name}`).join(', ')}`)
    assert.deepEqual(
      { ...row, lc_collate: null },
      {
        server_encoding: 'UTF8',
        fsync: 'on',
        synchronous_commit: 'on',
        full_page_writes: 'on',
        listen_addresses: '127.0.0.1',
        jit: 'off',
        lc_collate: null,
      },
    )
    assert.equal((await stat(join(folder, 'postgres/password'))).mode & 0o777, 0o600)
    const wrong = new URL(server.url)
    wrong.password = 'wrong'
    await assert.rejects(ask(wrong.href, 'select 1'), /password/)
    await ask(server.url, 'create table kept (n int)')
    await server.stop()
    await server.stop()
    assert.equal(await identity(server.child.pid ?? 0), null)
  })

  test('keeps its data, and stops a server that a killed process left behind', async () => {
    const program = startProgram(['--input-type=module', '--import', 'tsx', '-e', START, join(folder, 'postgres')])
    const { url, pid } = await program.firstJson<{ url: string; pid: number }>()
    await ask(url, 'insert into kept values (1)')
    program.kill('SIGKILL')
    await endOf(program)
    const server = await start()
    assert.deepEqual(await ask(server.url, 'select n from kept'), [{ n: 1 }])
    assert.equal(await identity(pid), null)
    await server.stop()
  })

  test('starts although the server itself was killed', async () => {
    const first = await start()
    await ask(first.url, 'insert into kept values (2)')
    process.kill(first.child.pid ?? 0, 'SIGKILL')
    await first.child.ended
    const second = await start()
    assert.deepEqual(await ask(second.url, 'select n from kept order by n'), [{ n: 1 }, { n: 2 }])
    await second.stop()
  })

  test('tells why it cannot start', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    assert.ok(typeof address === 'object' && address !== null)
    await assert.rejects(
      startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), port: address.port, log: () => {} }),
      /PostgreSQL .* ended with code 1:\n[^]*Address already in use/,
    )
    taken.close()
    await unlink(join(folder, 'postgres/password'))
    await assert.rejects(start(), /password is gone/)
  })

  test('makes the library links that blocked install scripts leave out', async () => {
    const root = join(dirname((await postgresBinaries()).postgres), '..', '..')
    const links: unknown = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8'))
    assert.ok(Array.isArray(links))
    const targets = links.map((link: unknown) => {
      assert.ok(typeof link === 'object' && link !== null && 'target' in link && typeof link.target === 'string')
      return join(root, link.target)
    })
    // Of a library that the server does not load: others may be starting one right now.
    const missing = targets.find((target) => target.endsWith('libecpg.so'))
    assert.ok(missing !== undefined)
    await unlink(missing)
    await postgresBinaries()
    for (const target of targets) assert.ok(await stat(target))
  })
})
