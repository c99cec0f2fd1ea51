import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Connections } from '../../activities/connections.ts'
import { startSandbox, type StartedSandbox } from '../../connectors/sandbox/start.ts'

let sandbox: StartedSandbox
let connections: Connections

before(async () => {
  sandbox = await startSandbox()
  connections = new Connections({ env: { HUBSPOT_TOKEN: 'pat-test' }, secretsDir: '/nonexistent' })
})
after(async () => {
  await connections.close()
  await sandbox.close()
})

test('the configuration of a destination changes while a run delivers: the run keeps its connections (they were closed under it)', async () => {
  const config = { baseUrl: `${sandbox.url}/hubspot`, accessToken: '${env:HUBSPOT_TOKEN}' }
  const of = async (more: object) =>
    (await connections.destination({ name: 'crm', connector: 'hubspot', config: { ...config, ...more } })).destination
  const frozen = await of({})
  assert.equal(await of({}), frozen)
  const newer = await of({ timeoutSeconds: 5 })
  assert.notEqual(newer, frozen)
  for (const destination of [frozen, newer, frozen]) assert.equal((await destination.check(AbortSignal.timeout(10_000))).ok, true)
})
