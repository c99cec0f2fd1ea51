import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { apiSettings, workerSettings, type ServiceSettings } from '../../server/settings.ts'
import { runTool } from '../harness/infra-tools.ts'

const run = promisify(execFile)

const CHART = 'infra/helm/tailrace'
/** `go install` leaves the version out that a released Helm was built for. */
const KUBERNETES = ['--kube-version', '1.31.0']

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: { readonly template?: { readonly spec?: { readonly containers?: readonly Container[] } } }
}

interface Container {
  readonly name: string
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly value?: string }[]
}

describe('the Helm chart', () => {
  const valueFiles = async (): Promise<string[]> => (await readdir(join(CHART, 'ci'))).map((name) => join(CHART, 'ci', name))
  const render = async (t: TestContext, values: string): Promise<Manifest[]> => {
    const text = await runTool(t, 'helm', 'template', 'tailrace', CHART, '--namespace', 'data', ...KUBERNETES, '--values', values)
    const documents = Array.from(parseAllDocuments(text ?? ''))
    assert.deepEqual(
      documents.flatMap((document) => document.errors),
      [],
    )
    return documents.map((document) => document.toJS() as Manifest)
  }

  test('passes helm lint with every file of values', async (t) => {
    for (const values of await valueFiles()) await runTool(t, 'helm', 'lint', CHART, '--strict', ...KUBERNETES, '--values', values)
  })

  test('passes its unit tests', async (t) => {
    const said = await runTool(t, 'helm-unittest', '--strict', CHART)
    if (said !== null) assert.match(said, /Tests: +\d+ passed, \d+ total/)
  })

  test('renders what Kubernetes takes apart: no name twice, none too long for a label', async (t) => {
    for (const values of await valueFiles()) {
      const names: string[] = (await render(t, values)).map(({ kind, metadata }) => `${kind}/${metadata.name}`)
      assert.equal(new Set(names).size, names.length, names.join('\n'))
      for (const name of names) assert.ok(name.slice(name.indexOf('/') + 1).length <= 63, name)
    }
  })

  // What api, worker and migrate read is the interface between chart and code; a name that only one of them knows would do nothing.
  test('sets an environment that the processes accept, and no name that they do not know', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tailrace-chart-'))
    t.after(() => rm(folder, { recursive: true }))
    const secret = join(folder, 'secret')
    await writeFile(secret, 'a-secret')
    const { stdout: known } = await run('grep', [
      '-rhoE',
      '(TAILRACE|TEMPORAL|OTEL)_[A-Z_]+|LOG_LEVEL|DATABASE_URL',
      'server',
      'node_modules/@temporalio/envconfig/lib',
      '--include=*.ts',
      '--include=*.js',
    ])
    for (const values of await valueFiles()) {
      const containers: Container[] = (await render(t, values)).flatMap((manifest) => manifest.spec?.template?.spec?.containers ?? [])
      if (containers.length === 0) return
      assert.deepEqual(containers.map(({ args }) => args.join(' ')).sort(), ['api', 'migrate', 'worker'])
      for (const { name, env } of containers) {
        for (const { name: variable } of env) {
          assert.ok(
            [variable, variable.replace(/_FILE$/, '')].some((one) => known.split('\n').includes(one)),
            variable,
          )
        }
        const given = Object.fromEntries(env.map((one) => [one.name, valueOf(one, secret)]))
        // The Temporal Worker Controller adds its own.
        if (name === 'worker' && values.includes('versioned')) given['TEMPORAL_ADDRESS'] = 'temporal:7233'
        const settings: ServiceSettings = name === 'api' ? apiSettings(given) : workerSettings(given)
        assert.ok(settings.temporal.connection.address)
        if (name === 'api') assert.equal(settings.host, '0.0.0.0')
      }
    }
  })
})

function valueOf({ name, value }: { readonly name: string; readonly value?: string }, secret: string): string {
  if (name === 'DATABASE_URL') return 'postgres://tailrace@db/tailrace'
  if (value === undefined) return 'from-a-secret'
  return value.startsWith('/run/secrets/') ? secret : value
}
