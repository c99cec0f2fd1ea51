import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { freePort } from '../../server/embedded/port.ts'
import { createContacts, documents, some } from '../harness/contacts.ts'
import { runTool } from '../harness/infra-tools.ts'
import { startStack } from '../harness/stack.ts'

const ALERTS = 'infra/helm/tailrace/files/alerts.yaml'
const DASHBOARD = 'infra/helm/tailrace/files/dashboard.json'

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly runbook_url: string }
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
  readonly templating: { readonly list: readonly { readonly query: string | { readonly query: string } }[] }
}

const alerts = async (): Promise<Alert[]> =>
  (parse(await readFile(ALERTS, 'utf8')) as { groups: { rules: Alert[] }[] }).groups.flatMap((group) => group.rules)
const dashboard = async (): Promise<Dashboard> => JSON.parse(await readFile(DASHBOARD, 'utf8')) as Dashboard
/** What Grafana asks Prometheus, with its own variables filled in. */
const questions = async (): Promise<string[]> =>
  (await dashboard()).panels
    .flatMap(({ targets }) => targets ?? [])
    .map(({ expr }) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$sync', '.*'))

describe('alert rules and dashboard', () => {
  test('the rules are Prometheus rules', async (t) => {
    await runTool(t, 'promtool', 'check', 'rules', '--lint-fatal', ALERTS)
  })

  test('the rules fire when they must and not before', async (t) => {
    await runTool(t, 'promtool', 'test', 'rules', 'test/infra/alerts.yaml')
  })

  test('every question of the dashboard is PromQL', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tailrace-dashboard-'))
    try {
      const rules = (await questions()).map((expr, index) => ({ record: `question:${index}`, expr }))
      const file = join(folder, 'questions.json')
      await writeFile(file, JSON.stringify({ groups: [{ name: 'questions', rules }] }))
      await runTool(t, 'promtool', 'check', 'rules', file)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('every alert leads to its section of the runbook', async () => {
    const sections = [...(await readFile('docs/runbook.md', 'utf8')).matchAll(/^## (\w+)$/gm)].map(([, title]) => title)
    for (const { alert, annotations } of await alerts()) {
      assert.equal(annotations.runbook_url, `docs/runbook.md#${alert.toLowerCase()}`)
      assert.ok(sections.includes(alert), `docs/runbook.md has no section ${alert}`)
    }
  })

  // A renamed metric leaves an alert that never fires and a panel that stays empty.
  test('every metric in them is exported by a real api or worker', async () => {
    const stack = await startStack()
    try {
      const ports = await Promise.all([freePort(), freePort(), freePort()])
      await stack.start('api', { TAILRACE_METRICS_PORT: String(ports[0]) })
      await stack.start('worker', { TAILRACE_METRICS_PORT: String(ports[1]), TAILRACE_TEMPORAL_METRICS_PORT: String(ports[2]) })
      await createContacts(stack, some(30))
      await stack.apply(documents(stack, 'webhook', { schedule: { every: '2h' } }))
      assert.equal((await stack.run('contacts')).state, 'succeeded')
      const pages = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()))
      const exported = new Set(pages.flatMap(seriesOf))
      const variables = (await dashboard()).templating.list.map(({ query }) => (typeof query === 'string' ? query : query.query))
      const asked = [...(await questions()), ...(await alerts()).map(({ expr }) => expr), ...variables].flatMap(
        (text) => text.match(/\b(?:tailrace|temporal|process|nodejs)_\w+/g) ?? [],
      )
      assert.deepEqual(
        [...new Set(asked)].filter((name) => !exported.has(name) && !ONLY_ON_FAILURE.includes(name)),
        [],
      )
    } finally {
      await stack.stop()
    }
  })
})

/** Counters of Temporal's core that it exports from the first failure on. */
const ONLY_ON_FAILURE = ['temporal_workflow_task_execution_failed']

/** Names of the series that a page of metrics declares, a histogram's parts included; declared ones count before their first sample. */
function seriesOf(page: string): string[] {
  return [...page.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => `${name}${suffix}`) : [name],
  )
}
