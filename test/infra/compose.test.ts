import assert from 'node:assert/strict'
import { access, readFile, writeFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import pg from 'pg'
import { parse } from 'yaml'
import { freePort } from '../../server/embedded/port.ts'
import { runTool } from '../harness/infra-tools.ts'
import { endOf, ready, startProgram, type Program } from '../harness/program.ts'

interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, unknown>> | readonly string[]
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly configs: Readonly<Record<string, { readonly content: string }>>
}

/** With its variables at their defaults. */
async function compose(): Promise<Compose> {
  const text = (await readFile('docker-compose.yml', 'utf8')).replace(/\$\{\w+:-([^}]*)\}/g, '$1')
  return parse(text, { merge: true }) as Compose
}

/**
 * The compose file without a container engine: read by Docker's own parser, and what it says of our own containers is carried out in
 * its order, beside the suite's PostgreSQL and Temporal. Not carried out: the images of PostgreSQL, Temporal, Prometheus and Grafana.
 */
describe('docker-compose.yml', () => {
  test('is a compose file', async (t) => {
    await runTool(t, 'cmd', 'docker-compose.yml')
  })

  test('names versions, and files that are there', async () => {
    for (const [name, { image, build, volumes = [] }] of Object.entries((await compose()).services)) {
      assert.ok(image === 'tailrace' || /:v?\d+(\.\d+)*$/.test(image), `${name}: ${image}`)
      assert.doesNotMatch(image, /auto-setup/)
      if (build !== undefined) await access(join(build, 'Dockerfile'))
      for (const [source = ''] of volumes.map((volume) => volume.split(':'))) if (source.startsWith('.')) await access(source)
    }
  })

  test('configures Prometheus', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tailrace-compose-'))
    try {
      const { content } = (await compose()).configs['prometheus'] ?? assert.fail('no configuration for Prometheus')
      const file = join(folder, 'prometheus.yml')
      await writeFile(file, content.replace('/etc/prometheus/alerts.yaml', join(process.cwd(), 'infra/helm/tailrace/files/alerts.yaml')))
      await runTool(t, 'promtool', 'check', 'config', file)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  // The README's first steps with containers: up, apply the example, run it; the sandbox holds the warehouse's thousand customers.
  test('migrate, api, worker and sandbox take their commands and environment, and carry the example', async () => {
    const { services, configs } = await compose()
    const server = new URL(process.env['TAILRACE_TEST_PG'] ?? assert.fail('run the tests by npm test'))
    const [apiPort, apiMetrics = 0, workerMetrics = 0, temporalMetrics, sandboxPort] = await Promise.all(
      Array.from({ length: 5 }, freePort),
    )
    /** Names and ports of containers, as they are outside of them. */
    const outside = (text: string): string =>
      text
        .replace('postgres:tailrace@postgres:5432', `${server.username}:${server.password}@${server.host}`)
        .replace(/\/(tailrace|warehouse)$/, '/compose_$1')
        .replace('temporal:7233', process.env['TAILRACE_TEST_TEMPORAL'] ?? '')
        .replace('http://api:8080', `http://127.0.0.1:${apiPort}`)
        .replace(/\b4010\b/, String(sandboxPort))
        .replace(/^9465$/, String(temporalMetrics))
    const ports = {
      api: { TAILRACE_PORT: String(apiPort), TAILRACE_METRICS_PORT: String(apiMetrics) },
      worker: { TAILRACE_METRICS_PORT: String(workerMetrics) },
    }
    const start = (name: string, extra: Record<string, string> = {}, ...args: string[]): Program => {
      const service = services[name] ?? assert.fail(`no service ${name}`)
      const environment = Object.fromEntries(Object.entries(service.environment ?? {}).map(([key, value]) => [key, outside(value)]))
      const command = (service.command ?? []).map(outside)
      return startProgram(['dist/server/main.js', ...command, ...args], {
        env: { PATH: process.env['PATH'], TAILRACE_TASK_QUEUE: 'compose', ...environment, ...extra },
      })
    }
    const ended = async (program: Program): Promise<void> => {
      const { code } = await endOf(program)
      assert.equal(code, 0, program.stderr())
    }

    const [create = '', fill = ''] = (configs['warehouse']?.content ?? '').split('\\connect warehouse')
    await query(server.href, 'create database compose_tailrace')
    await query(server.href, create.replace('warehouse', 'compose_warehouse'))
    const warehouse = new URL(server)
    warehouse.pathname = '/compose_warehouse'
    await query(warehouse.href, fill)
    const running: Program[] = []
    try {
      await ended(start('migrate'))
      const [api, worker, destinations] = [start('api', ports.api), start('worker', ports.worker), start('sandbox')]
      running.push(api, worker, destinations)
      await Promise.all([ready(api, apiMetrics), ready(worker, workerMetrics), destinations.says(/stop with Ctrl-C/)])
      await ended(start('cli', {}, 'apply', 'examples/quickstart'))
      await ended(start('cli', {}, 'run', 'customers-to-hubspot', '--wait'))
      const report = await (await fetch(`http://127.0.0.1:${sandboxPort}/_sandbox/report`)).text()
      assert.match(report, /customer1000@example\.com/)
    } finally {
      for (const program of running) program.kill('SIGTERM')
      await Promise.all(running.map(endOf))
      await query(server.href, 'drop database if exists compose_tailrace with (force)')
      await query(server.href, 'drop database if exists compose_warehouse with (force)')
    }
  })
})

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
