import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { ConnectorError } from '../../connectors/errors.ts'
import { parseSnowflakeConfig } from '../../connectors/snowflake/config.ts'

const base = { account: 'my_org-acct', username: 'U', database: 'D', schema: 'S', warehouse: 'W', role: 'R' }
const encrypted = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' },
}).privateKey

test('one way to come in; the address follows from the account', () => {
  const { address, options } = parseSnowflakeConfig({ ...base, token: 't' })
  assert.equal(address, 'my-org-acct.snowflakecomputing.com')
  assert.deepEqual([options.authenticator, options.token], ['PROGRAMMATIC_ACCESS_TOKEN', 't'])
  const key = parseSnowflakeConfig({ ...base, privateKey: encrypted, privateKeyPassphrase: 'open sesame' }).options
  assert.deepEqual([key.authenticator, key.privateKeyPass], ['SNOWFLAKE_JWT', 'open sesame'])
  const oauth = { clientId: 'c', clientSecret: 's', tokenUrl: 'https://idp.example.com/token' }
  assert.equal(parseSnowflakeConfig({ ...base, oauth }).options.authenticator, 'OAUTH_CLIENT_CREDENTIALS')
})

test('what is wrong is named; no secret is in the error', () => {
  const oauth = { clientId: 'c', clientSecret: 'hidden-secret', tokenUrl: 'http://idp.example.com/token' }
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ ...base }, /one of privateKey, token and oauth/],
    [{ ...base, token: 'hidden-secret', privateKey: encrypted }, /one of privateKey, token and oauth/],
    [{ ...base, token: 'hidden-secret', role: '' }, /role/],
    [{ ...base, token: 'hidden-secret', accessUrl: 'http://proxy.example.com' }, /accessUrl must be https/],
    [{ ...base, token: 'hidden-secret', plannerSchema: 'a.b.c' }, /plannerSchema must be schema or database.schema/],
    [{ ...base, oauth }, /tokenUrl must be https/],
    [{ ...base, privateKey: 'hidden-secret' }, /privateKey cannot be read/],
    [{ ...base, privateKey: encrypted }, /privateKey cannot be read/],
    [{ ...base, privateKey: encrypted, privateKeyPassphrase: 'hidden-secret' }, /privateKey cannot be read/],
  ]
  for (const [config, words] of wrong) {
    assert.throws(
      () => parseSnowflakeConfig(config),
      (error) =>
        error instanceof ConnectorError &&
        error.kind === 'config' &&
        words.test(error.message) &&
        !inspect(error).includes('hidden-secret'),
      String(words),
    )
  }
})
