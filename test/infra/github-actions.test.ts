import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { freePort } from '../../server/embedded/port.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { descendants, survivors } from '../harness/processes.ts'

const run = promisify(execFile)

interface Step {
  readonly name?: string
  readonly run?: string
}

interface Workflow {
  readonly jobs: { readonly plan: { readonly env: Record<string, string>; readonly steps: readonly Step[] } }
}

/** What this test brings in another way: the clone of a published repository, and psql. */
const BROUGHT = ['Install Tailrace', "Create the warehouse's tables"]

/**
 * The steps of the example workflow, carried out by bash in their order, in a repository with a base branch and a pull request. Not
 * carried out: GitHub's own actions and services. Needs dist/ (`npm run build`).
 */
describe('examples/github-actions', { skip: process.platform === 'linux' ? false : 'reads /proc' }, () => {
  let folder = ''
  let state: TestDatabase
  let warehouse: TestDatabase
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-actions-'))
    ;[state, warehouse] = await Promise.all([freshDatabase(), freshDatabase()])
  })
  after(async () => {
    await Promise.all([state.drop(), warehouse.drop()])
    await rm(folder, { recursive: true, force: true })
  })

  test('a pull request that maps one field more passes, and its plan says so', async () => {
    const [apiPort, sandboxPort] = await Promise.all([freePort(), freePort()])
    const { env: given, steps } = await workflow(sandboxPort)
    const repository = await pullRequest(folder)
    await warehouse.pool.query(
      'create table customers (id bigint primary key, email text, first_name text, plan text, updated_at timestamptz)',
    )
    const env = {
      ...given,
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      RUNNER_TEMP: folder,
      GITHUB_BASE_REF: 'main',
      GITHUB_STEP_SUMMARY: join(folder, 'summary'),
      WAREHOUSE_URL: warehouse.url,
      // `dev` brings its own database and Temporal on a runner; here the suite's serve.
      DATABASE_URL: state.url,
      TEMPORAL_ADDRESS: process.env['TAILRACE_TEST_TEMPORAL'] ?? '',
      TAILRACE_TASK_QUEUE: 'actions',
      TAILRACE_PORT: String(apiPort),
      TAILRACE_METRICS_PORT: '0',
      TAILRACE_URL: `http://127.0.0.1:${apiPort}`,
    }
    // One shell, as the background processes of a job are one runner's; each step is a script of its own with GitHub's options.
    const script = steps
      .filter((step) => step.run !== undefined && !BROUGHT.includes(step.name ?? ''))
      .map((step, index) => ({ name: join(folder, `step-${index}.sh`), text: step.run ?? '' }))
    for (const { name, text } of script) await writeFile(name, text)
    const job = run('bash', ['-c', 'set -e; for step; do bash -eo pipefail "$step"; done', 'job', ...script.map(({ name }) => name)], {
      cwd: repository,
      env,
    })
    try {
      await job
      const summary = await readFile(join(folder, 'summary'), 'utf8')
      assert.match(summary, /customers-to-hubspot/)
      assert.match(summary, /firstname/)
    } finally {
      const left = (await descendants(1)).filter(({ command }) => command.includes(folder))
      for (const { pid } of left) process.kill(pid, 'SIGTERM')
      assert.deepEqual(await survivors(left), [])
    }
  })
})

async function workflow(sandboxPort: number): Promise<Workflow['jobs']['plan']> {
  const text = await readFile('examples/github-actions/tailrace.yaml', 'utf8')
  return (parse(text.replaceAll('4010', String(sandboxPort))) as Workflow).jobs.plan
}

/** A clone whose base branch, `origin/main`, maps the e-mail only; what is checked out maps the first name as well. */
async function pullRequest(folder: string): Promise<string> {
  const [origin, repository] = [join(folder, 'origin'), join(folder, 'repository')]
  const git = (...args: string[]) => run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args])
  await mkdir(join(folder, 'bin'))
  await symlink(join(process.cwd(), 'dist/server/main.js'), join(folder, 'bin/tailrace'))
  await git('init', '--quiet', '--initial-branch', 'main', origin)
  await mkdir(join(origin, 'syncs'))
  const whole = await readFile('examples/quickstart/customers.yaml', 'utf8')
  await writeFile(join(origin, 'syncs/customers.yaml'), whole.replace(/^ {2}firstname: .*\n/m, ''))
  await git('-C', origin, 'add', '.')
  await git('-C', origin, 'commit', '--quiet', '--message', 'base')
  await git('clone', '--quiet', origin, repository)
  await cp('examples/quickstart/customers.yaml', join(repository, 'syncs/customers.yaml'))
  return repository
}
