import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { accept, createContacts, documents, exactlyOnce, fault, holding, release, some } from '../harness/contacts.ts'
import { startStack, type Role, type Stack } from '../harness/stack.ts'
import { startTemporalFront, type Identity } from '../harness/temporal-front.ts'

/** Found on PATH. */
const OPENSSL = 'openssl'
const openssl = (...args: string[]) => promisify(execFile)(OPENSSL, args)
const missing = await openssl('version').then(
  () => false as const,
  () => 'openssl is not installed',
)

/** Temporal that wants a client certificate and an API key, of those who connect before and after both were rotated. */
describe('a Temporal that asks who one is', { skip: missing }, () => {
  let folder = ''
  const path = (name: string) => join(folder, name)
  const text = (name: string) => readFile(path(name), 'utf8')
  let stack: Stack
  let front: Awaited<ReturnType<typeof startTemporalFront>>
  let env: Record<string, string>
  let roles: Role[]

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tailrace-temporal-tls-'))
    await Promise.all(['server', 'client', 'next'].map(makeCertificate))
    await Promise.all([put('crt', 'client.crt'), put('key', 'client.key'), writeFile(path('api-key'), 'key-1')])
    stack = await startStack()
    const admission = { authorities: [await text('client.crt')], apiKeys: ['key-1'] }
    front = await startTemporalFront(stack.temporal, await identity('server'), admission)
    env = {
      TEMPORAL_ADDRESS: front.address,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: path('server.crt'),
      TEMPORAL_TLS_CLIENT_CERT_PATH: path('crt'),
      TEMPORAL_TLS_CLIENT_KEY_PATH: path('key'),
      TEMPORAL_API_KEY_FILE: path('api-key'),
    }
    await createContacts(stack, some(30))
  })
  after(async () => {
    await stack.stop()
    await front.close()
    await rm(folder, { recursive: true })
  })

  /** Signs itself; its common name is the file's. */
  const makeCertificate = (name: string) =>
    openssl(
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)],
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'],
    )
  const identity = async (name: string): Promise<Identity> => ({ key: await text(`${name}.key`), cert: await text(`${name}.crt`) })

  /** As Kubernetes replaces a secret: whole. */
  async function put(name: string, from: string): Promise<void> {
    await writeFile(path(`${name}.new`), await text(from))
    await rename(path(`${name}.new`), path(name))
  }

  test('nobody is let in without a certificate or with a wrong key', async () => {
    await writeFile(path('wrong-key'), 'key-0')
    const without = { ...env, TEMPORAL_TLS_CLIENT_CERT_PATH: '', TEMPORAL_TLS_CLIENT_KEY_PATH: '' }
    await assert.rejects(stack.start('worker', without), /Temporal \(TEMPORAL_ADDRESS\) does not take the worker: [^]*TEMPORAL_TLS_\*/)
    await assert.rejects(stack.start('worker', { ...env, TEMPORAL_API_KEY_FILE: path('wrong-key') }), /wrong API key[^]*TEMPORAL_API_KEY/)
    assert.deepEqual(front.seen().apiKeys, [])
  })

  test('with both the API and a worker do their work', async () => {
    roles = await Promise.all([stack.start('api', env), stack.start('worker', env)])
    await stack.apply(documents(stack, 'hubspot'))
    assert.equal((await stack.run('contacts')).state, 'succeeded')
    await exactlyOnce(stack, 'hubspot', 30)
  })

  /** The certificate was read at the start only. */
  test('both are rotated with a run in flight, without a restart', async () => {
    await stack.warehouse.query(`update contacts set name = 'two'`)
    await fault(stack, { on: 'hubspot', path: 'batch/upsert', do: 'hold', commit: 'before' })
    const id = await accept(stack)
    await holding(stack, 1)

    front.admit({ authorities: [await text('client.crt'), await text('next.crt')], apiKeys: ['key-1', 'key-2'] })
    // The key comes first: for a moment it does not belong to the certificate.
    await Promise.all([put('key', 'next.key'), writeFile(path('api-key'), 'key-2')])
    await put('crt', 'next.crt')
    // The worker's two connections and the API's.
    await front.connected('next', 3)
    front.admit({ authorities: [await text('next.crt')], apiKeys: ['key-2'] })
    front.drop()
    front.forget()
    await release(stack)

    const run = await stack.ended(id)
    assert.deepEqual([run.state, run.counts['delivered']], ['succeeded', 30], JSON.stringify(run))
    await stack.warehouse.query(`update contacts set name = 'three'`)
    assert.equal((await stack.run('contacts')).state, 'succeeded')
    await exactlyOnce(stack, 'hubspot', 90)
    const { certificates, apiKeys } = front.seen()
    assert.deepEqual([new Set(certificates), new Set(apiKeys)], [new Set(['next']), new Set(['key-2'])])
    for (const role of roles) assert.equal(await role.stop(), 0, role.output())
  })
})
