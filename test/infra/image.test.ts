import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { DockerfileParser, type Instruction } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'
import { freePort } from '../../server/embedded/port.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { endOf, ready, startProgram, type Program } from '../harness/program.ts'

const run = promisify(execFile)

/**
 * Weighed when the Dockerfile was walked in a chroot: debootstrap's trixie without documentation and translations, as the slim image
 * is, with ca-certificates 86.6 MB; Node 24.21 for x64 126.6 MB.
 */
const BASE_BYTES = 213.2e6
const LIMIT_BYTES = 350e6

/**
 * The image without a container engine: the Dockerfile's build stage is carried out in a copied folder, instruction by instruction,
 * and what the final stage copies is run as the user, with the environment and by the entry point that it names. Not carried out:
 * fetching the base images and `apt-get install ca-certificates`; the program is this machine's Node, not the image's.
 */
describe('the image', { skip: process.platform === 'linux' ? false : 'the image is for Linux' }, () => {
  let folder = ''
  let image: Image
  let database: TestDatabase
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-image-'))
    await chmod(folder, 0o755)
    database = await freshDatabase()
    image = await build(folder)
  })
  after(async () => {
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  })

  const start = (args: readonly string[], env: Record<string, string> = {}): Program => {
    const [program, ...rest] = image.entryPoint
    assert.equal(program, 'node')
    return startProgram([...rest.map((part) => join(folder, 'image', part)), ...args], {
      cwd: join(folder, 'image', image.workFolder),
      env: { PATH: process.env['PATH'], ...image.env, ...env },
      ...image.user,
    })
  }

  test('has no finding of the linter', async () => {
    assert.deepEqual(validate(await readFile('Dockerfile', 'utf8')), [])
  })

  test('stays below 350 MB and carries one build of Temporal', async () => {
    const bytes = await weigh(join(folder, 'image'))
    assert.ok(bytes + BASE_BYTES < LIMIT_BYTES, `${Math.round(bytes / 1e6)} MB of our own`)
    assert.equal((await readdir(join(folder, 'image/app/node_modules/@temporalio/core-bridge/releases'))).length, 1)
  })

  test("carries all that Snowflake's driver loads", async () => {
    const load = ['snowflake-sdk', '@azure/identity', '@azure/storage-blob', '@aws-sdk/client-s3'].map((name) => `require('${name}')`)
    await run(process.execPath, ['-e', load.join(';')], { cwd: join(folder, 'image/app') })
  })

  test('runs the verbs of the CLI, as a user who may write nowhere', async () => {
    await assert.rejects(run('touch', [join(folder, 'image/app/x')], image.user), /Permission denied|Read-only/)
    const help = start(image.defaults)
    assert.equal((await endOf(help)).code, 0, help.stderr())
    assert.match(help.stdout(), /Usage: tailrace/)
    const validated = start(['validate', join(process.cwd(), 'examples/quickstart')])
    assert.equal((await endOf(validated)).code, 0, validated.stderr())
    const bare = start(['api'])
    assert.equal((await endOf(bare)).code, 78)
    assert.match(bare.stderr(), /DATABASE_URL is not set/)
  })

  test('migrates, serves the API and runs a worker', async () => {
    const [port, apiMetrics, workerMetrics] = await Promise.all([freePort(), freePort(), freePort()])
    const env = {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: process.env['TAILRACE_TEST_TEMPORAL'] ?? '',
      TAILRACE_TASK_QUEUE: 'image',
      TAILRACE_PORT: String(port),
    }
    const migrate = start(['migrate'], env)
    assert.equal((await endOf(migrate)).code, 0, migrate.stderr())
    const services = [
      { program: start(['api'], { ...env, TAILRACE_METRICS_PORT: String(apiMetrics) }), metricsPort: apiMetrics },
      { program: start(['worker'], { ...env, TAILRACE_METRICS_PORT: String(workerMetrics) }), metricsPort: workerMetrics },
    ]
    for (const { program, metricsPort } of services) {
      await ready(program, metricsPort)
      program.kill('SIGTERM')
      assert.deepEqual(await endOf(program), { code: 0, signal: null }, program.stderr())
    }
    const sandbox = start(['sandbox', '--port', '0'])
    await sandbox.says(/stop with Ctrl-C/)
    sandbox.kill('SIGTERM')
    assert.equal((await endOf(sandbox)).code, 0)
  })
})

interface Image {
  readonly workFolder: string
  readonly env: Record<string, string>
  /** Empty where we may not become that user. */
  readonly user: { readonly uid?: number; readonly gid?: number }
  readonly entryPoint: readonly string[]
  readonly defaults: readonly string[]
}

/** Carries out both stages below `folder`: the first in `build/`, the second in `image/`. */
async function build(folder: string): Promise<Image> {
  const stages: Instruction[][] = []
  for (const instruction of DockerfileParser.parse(await readFile('Dockerfile', 'utf8')).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') stages.push([])
    stages.at(-1)?.push(instruction)
  }
  assert.equal(stages.length, 2)
  let at = '/'
  const image = { workFolder: '/', env: {} as Record<string, string>, user: {}, entryPoint: [] as string[], defaults: [] as string[] }
  for (const [index, instructions] of stages.entries()) {
    const root = join(folder, index === 0 ? 'build' : 'image')
    for (const instruction of instructions) {
      const text = instruction.getArgumentsContent() ?? ''
      const words = text.split(/\s+/)
      switch (instruction.getKeyword()) {
        case 'WORKDIR':
          at = text
          await mkdir(join(root, at), { recursive: true })
          break
        case 'COPY': {
          const from = index === 0 ? process.cwd() : join(folder, 'build')
          const target = join(root, at, words.at(-1) ?? '')
          for (const source of words.slice(0, -1)) {
            // Node comes from the build stage's base image.
            if (source === '/usr/local/bin/node') continue
            await copy(join(from, source), (words.at(-1) ?? '').endsWith('/') ? join(target, source.split('/').at(-1) ?? '') : target)
          }
          break
        }
        case 'RUN':
          if (index === 0) await run('sh', ['-c', text], { cwd: join(root, at), maxBuffer: 1e8 })
          break
        case 'ENV': {
          const [name = '', value = ''] = text.split('=')
          image.env[name] = value
          break
        }
        case 'USER': {
          const [uid, gid] = text.split(':').map(Number)
          image.user = process.getuid?.() === 0 ? { uid, gid } : {}
          break
        }
        case 'ENTRYPOINT':
          image.entryPoint = JSON.parse(text) as string[]
          break
        case 'CMD':
          image.defaults = JSON.parse(text) as string[]
          break
        default:
          assert.match(instruction.getKeyword(), /^(FROM|EXPOSE)$/)
      }
    }
  }
  // For a user who cannot be another one: what belongs to root in the image belongs to us here.
  if (process.getuid?.() !== 0) await run('chmod', ['-R', 'a-w', join(folder, 'image')])
  return { ...image, workFolder: at }
}

async function copy(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  await cp(source, target, { recursive: true, verbatimSymlinks: true })
}

async function weigh(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
