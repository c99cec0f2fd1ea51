import assert from 'node:assert/strict'
import { link, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { resolveReferences, resolveText } from '../../activities/secrets.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { webhook } from '../../connectors/webhook/index.ts'
import { SOURCE, validate } from './config-folder.ts'

const HUBSPOT = 'kind: Destination\nname: d\nconnector: hubspot\nconfig: '
const WEBHOOK = 'kind: Destination\nname: d\nconnector: webhook\nconfig: '

async function refusals(text: string): Promise<string[]> {
  const { lines } = await validate({ 'a.yaml': text })
  return lines.map((line) => line.replace(/^\S+ \w+ \w+: config\.?/, ''))
}

describe('a secret in the clear', () => {
  const advice = 'write it as a reference: "${env:NAME}" or "${file:/path}"'
  const urlAdvice = 'write it as a reference, the whole address "${env:NAME}" or its password only: scheme://user:${env:NAME}@host'

  test('is refused in the fields that are secret', async () => {
    assert.deepEqual((await validate({ 'a.yaml': `${HUBSPOT}{ accessToken: pat-na1-123 }` })).lines, [
      `a.yaml:4:11: Destination d: config.accessToken: is a secret in the clear; ${advice}`,
    ])
    for (const value of ['"x${env:A}"', '"${env:A} "', 'https://x']) {
      assert.match((await refusals(`${HUBSPOT}{ accessToken: ${value} }`)).join('\n'), /^accessToken: is a secret in the clear/, value)
    }
    assert.deepEqual(
      await refusals(`${HUBSPOT}{ oauth: { clientId: a, clientSecret: b, refreshToken: "\${file:/run/secrets/tailrace/r}" } }`),
      [`oauth.clientSecret: is a secret in the clear; ${advice}`],
    )
    assert.deepEqual(await refusals(`${HUBSPOT}{}`), [': has no credentials; give one of accessToken, oauth'])
  })

  test('is refused as the password of an address', async () => {
    const wrong = [
      'postgres://u:hunter2@h/db',
      'postgres://u:hunter2${env:A}@h/db',
      'postgres://h/db?user=u&password=hunter2',
      'postgres://u:p/w@h/db',
      'postgres://u:12#x@h/db',
    ]
    for (const url of wrong)
      assert.deepEqual(
        await refusals(SOURCE.replace('${env:WAREHOUSE_URL}', url)),
        [`url: holds a password in the clear; ${urlAdvice}`],
        url,
      )
    const right = [
      '${env:A}',
      'postgres://${env:U}:${env:P}@h:5432/db',
      'postgres://u:${file:/run/secrets/tailrace/p}@${env:H}:${env:PORT}/db?sslmode=verify-full',
      'postgres://u@[::1]:5432/db',
    ]
    for (const url of right) assert.deepEqual(await refusals(SOURCE.replace('${env:WAREHOUSE_URL}', url)), [], url)
    assert.deepEqual(await refusals(SOURCE.replace('${env:WAREHOUSE_URL}', 'hunter2')), [`url: is a secret in the clear; ${urlAdvice}`])
  })

  test('is refused in headers that carry credentials', async () => {
    const headers = (text: string) => refusals(`${WEBHOOK}{ url: https://x.example, secret: "\${env:S}", headers: { ${text} } }`)
    assert.deepEqual(await headers('Authorization: Bearer abc'), [`headers.Authorization: is a secret in the clear; ${advice}`])
    assert.deepEqual(await headers('x-api-key: "k${env:A}"'), [`headers.x-api-key: is a secret in the clear; ${advice}`])
    assert.deepEqual(await headers('Authorization: "Bearer ${env:A}", cookie: "sid=${env:B}; t=${env:C}", x-tenant: acme'), [])
  })

  test('is refused in notifications', async () => {
    const { lines } = await validate({
      'a.yaml': 'kind: Notification\nname: n\nurl: https://u:pw@x.example\nsecret: whsec_abc\non: [failed]\n',
    })
    assert.deepEqual(lines, [
      `a.yaml:3:1: Notification n: url: holds a password in the clear; ${urlAdvice}`,
      `a.yaml:4:1: Notification n: secret: is a secret in the clear; ${advice}`,
    ])
  })

  test('is never quoted', async () => {
    const { lines } = await validate({
      'a.yaml': `${HUBSPOT}{ accessToken: hunter2, timeoutSeconds: hunter2 }\n---\n${SOURCE.replace('${env:WAREHOUSE_URL}', 'postgres://u:hunter2@h/db')}`,
    })
    assert.equal(lines.length, 3)
    assert.ok(!lines.join('\n').includes('hunter2'))
  })
})

describe('a reference', () => {
  test('to our own settings or out of the secrets folder is refused', async () => {
    const of = (text: string) => refusals(`${HUBSPOT}{ accessToken: "${text}" }`)
    for (const name of [
      'DATABASE_URL',
      'DATABASE_URL_FILE',
      'TAILRACE_API_TOKEN',
      'TEMPORAL_API_KEY',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'LOG_LEVEL',
      'tailrace_api_token',
    ]) {
      assert.deepEqual(await of(`\${env:${name}}`), [
        `accessToken: \${env:${name}} is refused: it is one of Tailrace's own settings, which configuration must not reach`,
      ])
    }
    assert.deepEqual(await of('${file:/run/secrets/tailrace/../../x}'), [
      'accessToken: ${file:/run/secrets/tailrace/../../x} is refused: the path must not contain "." or ".."',
    ])
    assert.deepEqual(await of('${file:token}'), ['accessToken: ${file:token} is refused: the path must be absolute'])
  })

  test('that is none is told', async () => {
    const of = (text: string) => refusals(`${HUBSPOT}{ accessToken: "${text}" }`)
    assert.deepEqual(await of('${TOKEN}'), ['accessToken: ${TOKEN} is no reference; write ${env:NAME} or ${file:/path}'])
    assert.deepEqual(await of('${env:A-B}'), ['accessToken: ${env:A-B} does not name an environment variable'])
    assert.deepEqual(await of('${env:A'), ['accessToken: the reference that begins with "${" has no closing brace'])
  })

  test('may stand for a number', async () => {
    assert.deepEqual(
      await refusals(`${WEBHOOK}{ url: "\${env:U}", secret: "\${env:S}", batchSize: "\${env:N}", numbers: "\${env:M}" }`),
      [],
    )
  })
})

describe('resolving on a worker', () => {
  let root = ''
  let secretsDir = ''
  before(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'tailrace-secrets-')))
    secretsDir = join(root, 'secrets')
    await mkdir(secretsDir)
    await writeFile(join(secretsDir, 'token'), 'abc\n')
    await writeFile(join(secretsDir, 'empty'), '\n')
    await writeFile(join(secretsDir, 'database'), 'postgres://u:pw@db/tailrace')
    await link(join(secretsDir, 'database'), join(secretsDir, 'other-name'))
    await writeFile(join(root, 'outside'), 'hunter2')
    await mkdir(join(root, 'secrets-of-others'))
    await writeFile(join(root, 'secrets-of-others', 'x'), 'hunter2')
    await symlink(join(root, 'outside'), join(secretsDir, 'leak'))
    await symlink(join(secretsDir, 'token'), join(secretsDir, 'linked'))
  })
  after(() => rm(root, { recursive: true, force: true }))

  const resolving = (text: string, env: Record<string, string> = {}) => resolveReferences({ a: { b: [text] } }, { env, secretsDir })

  async function problemOf(text: string, env: Record<string, string> = {}): Promise<string> {
    try {
      await resolving(text, env)
    } catch (error) {
      assert.ok(error instanceof ConnectorError)
      assert.equal(error.kind, 'config')
      assert.ok(!error.message.includes('hunter2'))
      return error.message.replaceAll(root, '')
    }
    assert.fail(`${text} was resolved`)
  }

  test('replaces references wherever they stand, once', async () => {
    const env = { A: 'one', B: '${env:A}' }
    assert.deepEqual(await resolving('x ${env:A} ${env:B} y', env), { a: { b: ['x one ${env:A} y'] } })
    assert.deepEqual(await resolving(`Bearer \${file:${secretsDir}/token}`), { a: { b: ['Bearer abc'] } })
    assert.deepEqual(await resolving(`\${file:${secretsDir}/linked}`), { a: { b: ['abc'] } })
    assert.deepEqual(await resolveReferences({ n: 1, f: false, o: null }, { env, secretsDir }), { n: 1, f: false, o: null })
    assert.equal(await resolveText('url', 'https://${env:A}', { env, secretsDir }), 'https://one')
  })

  test('reads a rotated file anew', async () => {
    await writeFile(join(secretsDir, 'rotated'), 'old')
    assert.deepEqual(await resolving(`\${file:${secretsDir}/rotated}`), { a: { b: ['old'] } })
    await writeFile(join(secretsDir, 'rotated'), 'new\r\n')
    assert.deepEqual(await resolving(`\${file:${secretsDir}/rotated}`), { a: { b: ['new'] } })
  })

  test('gives numbers to fields that want numbers', async () => {
    const config = { url: 'https://x', secret: '${env:S}', batchSize: '${env:N}', allowPrivateNetwork: '${env:T}' }
    const env = { S: '007', N: '50', T: 'true' }
    const resolved = await resolveReferences(config, { env, secretsDir }, webhook.config)
    assert.deepEqual(resolved, { url: 'https://x', secret: '007', batchSize: 50, allowPrivateNetwork: true })
  })

  test('names every reference that is missing', async () => {
    const config = { accessToken: '${env:HUBSPOT_TOKEN}', oauth: { clientSecret: '${env:EMPTY}' } }
    await assert.rejects(resolveReferences(config, { env: { EMPTY: '' }, secretsDir }), {
      message:
        'config.accessToken: ${env:HUBSPOT_TOKEN}: the environment variable HUBSPOT_TOKEN is not set on the worker; ' +
        'config.oauth.clientSecret: ${env:EMPTY}: the environment variable EMPTY is empty on the worker',
    })
    assert.equal(await problemOf(`\${file:${secretsDir}/nope}`), 'config.a.b.0: ${file:/secrets/nope}: there is no such file on the worker')
    assert.equal(await problemOf(`\${file:${secretsDir}/empty}`), 'config.a.b.0: ${file:/secrets/empty}: the file is empty')
    assert.equal(
      await problemOf(`\${file:${root}/secrets}`),
      'config.a.b.0: ${file:/secrets} is refused: only files below /secrets (TAILRACE_SECRETS_DIR) may be read',
    )
  })

  test('never leaves the secrets folder', async () => {
    const outside = (name: string) =>
      `config.a.b.0: \${file:${name}} is refused: only files below /secrets (TAILRACE_SECRETS_DIR) may be read`
    assert.equal(await problemOf(`\${file:${root}/outside}`), outside('/outside'))
    assert.equal(await problemOf(`\${file:${secretsDir}/leak}`), outside('/secrets/leak'))
    assert.equal(await problemOf(`\${file:${root}/secrets-of-others/x}`), outside('/secrets-of-others/x'))
    assert.equal(await problemOf('${file:/proc/self/environ}'), outside('/proc/self/environ'))
    assert.match(await problemOf(`\${file:${secretsDir}/../outside}`), /is refused: the path must not contain "\." or "\.\."$/)
  })

  test('never reads our own settings, by whatever name', async () => {
    assert.match(await problemOf('${env:DATABASE_URL}', { DATABASE_URL: 'hunter2' }), /is refused: it is one of Tailrace's own settings/)
    const env = { DATABASE_URL_FILE: join(secretsDir, 'database') }
    for (const name of ['database', 'other-name']) {
      assert.equal(
        await problemOf(`\${file:${secretsDir}/${name}}`, env),
        `config.a.b.0: \${file:/secrets/${name}} is refused: the file holds one of Tailrace's own settings`,
      )
    }
  })
})
