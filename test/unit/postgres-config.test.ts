import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { ConnectorError } from '../../connectors/errors.ts'
import { parsePostgresConfig } from '../../connectors/postgres/config.ts'

describe('PostgreSQL configuration', () => {
  it('takes everything from the url', async () => {
    const { address, user, database, client, encrypted, statementTimeoutSeconds } = parsePostgresConfig({
      url: 'postgresql://me:p%40ss@db.example.com:6543/shop?options=-c%20role%3Dreader',
    })
    assert.deepEqual(
      { address, user, database, encrypted, statementTimeoutSeconds },
      { address: 'db.example.com:6543', user: 'me', database: 'shop', encrypted: false, statementTimeoutSeconds: 1800 },
    )
    assert.equal(client.options, '-c role=reader')
    assert.equal(client.ssl, false)
    assert.ok(typeof client.password === 'function')
    assert.equal(await client.password(), 'p@ss')
    assert.ok(!inspect(client, { depth: 5 }).includes('p@ss'))
  })

  const addresses: [string, string, string][] = [
    ['postgres://me@db', 'db:5432', 'me'],
    ['postgres://me@[::1]:6000/shop', '[::1]:6000', 'shop'],
    ['postgres:///shop?host=/run/postgresql&user=me', '/run/postgresql/.s.PGSQL.5432', 'shop'],
  ]
  for (const [url, address, database] of addresses) {
    it(url, () => {
      const target = parsePostgresConfig({ url })
      assert.deepEqual([target.address, target.database], [address, database])
    })
  }

  const modes: [string, unknown][] = [
    ['?sslmode=disable', false],
    ['?sslmode=no-verify', { rejectUnauthorized: false }],
    ['?sslmode=require', { rejectUnauthorized: true }],
    ['?sslmode=verify-full', { rejectUnauthorized: true }],
    ['?ssl=true', { rejectUnauthorized: true }],
    ['', false],
  ]
  for (const [query, ssl] of modes)
    it(`TLS of "${query}"`, () => assert.deepEqual(parsePostgresConfig({ url: `postgres://me@db/shop${query}` }).client.ssl, ssl))

  const bad: [Record<string, unknown>, RegExp][] = [
    [{}, /url/],
    [{ url: 'postgres://me@db/shop', other: 1 }, /postgres config/],
    [{ url: 'postgres://me@db/shop', statementTimeoutSeconds: 0 }, /statementTimeoutSeconds/],
    [{ url: 'mysql://me:secret-word@db/shop' }, /must look like postgres:/],
    [{ url: 'postgres://me:secret-word#1@db/shop' }, /must look like postgres:/],
    [{ url: 'postgres://me:secret-word%zz@db/shop' }, /must look like postgres:/],
    [{ url: 'host=db password=secret-word' }, /must look like postgres:/],
    [{ url: 'postgres://db/shop' }, /names no user/],
    [{ url: 'postgres://me:secret-word@/shop' }, /no host|must look like/],
    [{ url: 'postgres://me@db/shop?sslmode=maybe' }, /sslmode must be one of disable/],
    [{ url: 'postgres://me@db/shop', caFile: '/nowhere/ca.pem' }, /caFile: the file \/nowhere\/ca\.pem cannot be read/],
    [{ url: 'postgres://me@db/shop', caFile: import.meta.filename.replace('unit/postgres-config.test.ts', 'run.ts') }, /is not a PEM file/],
  ]
  for (const [config, message] of bad) {
    it(`refused: ${message.source}`, () =>
      assert.throws(
        () => parsePostgresConfig(config),
        (error) =>
          error instanceof ConnectorError &&
          error.kind === 'config' &&
          message.test(error.message) &&
          !inspect(error).includes('secret-word'),
      ))
  }
})
