import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { apiSettings, cliSettings, SettingsError, workerSettings } from '../../server/settings.ts'

const NEEDED = { DATABASE_URL: 'postgres://u:pw@db/tailrace', TEMPORAL_ADDRESS: 'temporal:7233' }

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof SettingsError)
    assert.equal(error.exitCode, 78)
    for (const problem of error.problems) assert.ok(error.message.includes(problem))
    return error.problems
  }
  assert.fail('the settings were accepted')
}

describe('settings', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-settings-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('have the documented defaults and are frozen', () => {
    const settings = workerSettings(NEEDED)
    assert.equal(settings.taskQueue, 'tailrace')
    assert.deepEqual([settings.host, settings.port], ['127.0.0.1', 8080])
    assert.deepEqual([settings.metricsHost, settings.metricsPort, settings.temporalMetricsPort], ['127.0.0.1', 9464, null])
    assert.equal(settings.secretsDir, '/run/secrets/tailrace')
    assert.equal(settings.url, 'http://127.0.0.1:8080')
    assert.deepEqual([settings.retentionDays, settings.logLevel, settings.otlpEndpoint, settings.oidc], [30, 'info', null, null])
    assert.equal(settings.temporal.connection.address, 'temporal:7233')
    assert.equal(settings.temporal.namespace, 'default')
    assert.throws(() => Object.assign(settings, { port: 1 }), TypeError)
  })

  test('of api and worker demand a database and Temporal; those of the CLI do not', () => {
    const needs = ['DATABASE_URL', 'TEMPORAL_ADDRESS']
    for (const read of [apiSettings, workerSettings]) {
      assert.deepEqual(
        problemsOf(() => read({ DATABASE_URL: '' })).map((problem) => problem.split(' ')[0]),
        needs,
      )
    }
    assert.equal(cliSettings({}).databaseUrl, null)
  })

  test('tell all that is wrong together, by name and without a value', () => {
    const wrong = {
      DATABASE_URL: 'mysql://secret-1@db/x',
      TEMPORAL_ADDRESS: 'temporal:7233',
      TAILRACE_PORT: 'secret-2',
      TAILRACE_METRICS_PORT: '70000',
      TAILRACE_RETENTION_DAYS: '0',
      TAILRACE_OIDC_AUDIENCE: 'secret-3',
      TAILRACE_URL: 'secret-4',
      LOG_LEVEL: 'secret-5',
      TAILRACE_API_TOKEN_FILE: '/nowhere/secret-6',
    }
    const problems = problemsOf(() => apiSettings(wrong))
    assert.deepEqual(problems.map((problem) => problem.split(' ')[0]).sort(), [
      'DATABASE_URL',
      'LOG_LEVEL',
      'TAILRACE_API_TOKEN_FILE',
      'TAILRACE_METRICS_PORT',
      'TAILRACE_OIDC_ISSUER',
      'TAILRACE_PORT',
      'TAILRACE_RETENTION_DAYS',
      'TAILRACE_URL',
    ])
    assert.doesNotMatch(problems.join('\n'), /secret-|70000/)
  })

  test('take a secret from NAME_FILE, and refuse both at once', async () => {
    const file = join(folder, 'url')
    await writeFile(file, 'postgres://u:pw@db/fromfile\n')
    assert.equal(workerSettings({ ...NEEDED, DATABASE_URL: '', DATABASE_URL_FILE: file }).databaseUrl, 'postgres://u:pw@db/fromfile')
    assert.match(
      problemsOf(() => workerSettings({ ...NEEDED, DATABASE_URL_FILE: file })).join(),
      /^DATABASE_URL and DATABASE_URL_FILE are both set/,
    )
    await writeFile(file, 'key-1')
    const { temporal } = workerSettings({ ...NEEDED, TEMPORAL_API_KEY_FILE: file })
    assert.deepEqual([temporal.connection.apiKey, temporal.connection.tls], ['key-1', true])
    await writeFile(file, 'key-2')
    assert.equal(temporal.readAgain?.().apiKey, 'key-2')
    await writeFile(file, '')
    assert.deepEqual(
      problemsOf(() => temporal.readAgain?.()),
      ['TEMPORAL_API_KEY_FILE names an empty file'],
    )
    assert.equal(workerSettings(NEEDED).temporal.readAgain, null)
  })

  test('refuse an open listener that asks nobody who they are', () => {
    for (const host of ['0.0.0.0', '::', '10.1.2.3', 'tailrace.example.com']) {
      assert.match(problemsOf(() => apiSettings({ ...NEEDED, TAILRACE_HOST: host })).join(), /^TAILRACE_HOST is not a loopback address/)
      assert.equal(apiSettings({ ...NEEDED, TAILRACE_HOST: host, TAILRACE_API_TOKEN: 't' }).host, host)
    }
    for (const host of ['localhost', '127.0.0.2', '::1']) assert.equal(apiSettings({ ...NEEDED, TAILRACE_HOST: host }).host, host)
  })

  test('say what a Kubernetes Service called tailrace does to TAILRACE_PORT', () => {
    assert.match(problemsOf(() => apiSettings({ ...NEEDED, TAILRACE_PORT: 'tcp://10.0.0.1:80' })).join(), /enableServiceLinks/)
  })

  test("read the SDK's own names, and name the one that is wrong", () => {
    const { temporal } = workerSettings({ ...NEEDED, TEMPORAL_NAMESPACE: 'n', TEMPORAL_TLS_SERVER_NAME: 's', TEMPORAL_GRPC_META_X_Y: 'v' })
    assert.equal(temporal.namespace, 'n')
    assert.deepEqual(temporal.connection.metadata, { 'x-y': 'v' })
    const problems = problemsOf(() => workerSettings({ ...NEEDED, TEMPORAL_TLS_CLIENT_CERT_PATH: '/nowhere/secret' }))
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', /^TEMPORAL_TLS_CLIENT_CERT_PATH /)
    assert.doesNotMatch(problems[0] ?? '', /nowhere/)
  })
})
