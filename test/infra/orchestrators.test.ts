import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createContacts, documents, some } from '../harness/contacts.ts'
import { startStack, type Stack } from '../harness/stack.ts'

const python = (code: string, env: Record<string, string> = {}) =>
  promisify(execFile)('python3', ['-c', code], {
    cwd: 'examples/orchestrators',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env },
  })

const missing = await python('import sys; assert sys.version_info >= (3, 9)').then(
  () => false as const,
  () => 'no Python 3.9 or newer on PATH',
)

/**
 * The examples' HTTP part against a real API and worker. Airflow and Dagster themselves are not installed here: their files are parsed,
 * and ran once (infra/WALKED.md).
 */
describe('examples/orchestrators', { skip: missing }, () => {
  let stack: Stack
  before(async () => {
    stack = await startStack()
    await stack.start('api')
    await createContacts(stack, some(30))
    await stack.apply(documents(stack, 'webhook'))
  })
  after(() => stack.stop())

  test('a try that is carried out twice begins one run, another try queues the next, and both end', async () => {
    const begin = `
import json, os, tailrace
api = tailrace.Api(os.environ['TAILRACE_URL'])
first, again, later = (api.start('contacts', key) for key in ('r/t/1', 'r/t/1', 'r/t/2'))
`
    const begun = await python(`${begin}\nprint(json.dumps([run['id'] for run in (first, again, later)]))`, stack.env)
    const [first, again, later] = JSON.parse(begun.stdout) as string[]
    assert.equal(again, first)
    assert.notEqual(later, first)
    // Nothing could have ended before there is a worker.
    await stack.start('worker')
    const waited = await python(`${begin}\nprint(json.dumps([api.wait(first), api.wait(later)]))`, stack.env)
    const runs = JSON.parse(waited.stdout) as { id: string; state: string; counts: { delivered: number } }[]
    assert.deepEqual(
      runs.map(({ id, state, counts }) => [id, state, counts.delivered]),
      [
        [first, 'succeeded', 30],
        [later, 'succeeded', 0],
      ],
    )
  })

  test('an answer of the API that says no is raised with its detail', async () => {
    const asked = python(`import os, tailrace; tailrace.Api(os.environ['TAILRACE_URL']).start('nobody', 'r/t/3')`, stack.env)
    await assert.rejects(asked, /RuntimeError: POST \/v1\/syncs\/nobody\/runs: .*nobody/)
  })

  test('the files of Airflow and Dagster are Python', async () => {
    await python(`import ast; [ast.parse(open(name).read()) for name in ('airflow_dag.py', 'dagster_definitions.py')]`)
  })
})
