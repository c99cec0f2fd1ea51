import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { postgres } from '../../connectors/postgres/index.ts'
import { postgresFixture, type PostgresFixture } from './postgres-fixture.ts'
import { tlsProxy } from './postgres-wire.ts'
import { readAll, request } from './source-fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'tailrace-tls-'))
const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]

/** Found on PATH. */
const OPENSSL = 'openssl'

/** A certificate made now, so that none with its key lies in the repository. False where there is no openssl. */
function makeCertificate(): boolean {
  const subject = ['-subj', '/CN=warehouse', '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    execFileSync(
      OPENSSL,
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', keyFile, '-out', certFile, ...subject],
      { stdio: 'ignore' },
    )
    return true
  } catch {
    return false
  }
}

describe('PostgreSQL over TLS', { timeout: 60_000, skip: makeCertificate() ? false : 'openssl is not installed' }, () => {
  let fixture: PostgresFixture
  const signal = new AbortController().signal
  before(async () => {
    fixture = await postgresFixture()
  })
  after(async () => {
    await fixture.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function proxy(): Promise<Awaited<ReturnType<typeof tlsProxy>>> {
    return tlsProxy(fixture.url, { key: readFileSync(keyFile), cert: readFileSync(certFile) })
  }

  it('caFile: the certificate is checked and rows are read', async () => {
    await using server = await proxy()
    const source = postgres.open({ url: server.url, caFile: certFile })
    assert.match((await source.check(signal)).detail, /, with TLS$/)
    assert.equal((await readAll(source, request(fixture.many(2000), ['id'], ['filler']))).rows.length, 2000)
  })

  it('a certificate of nobody we know: config, with what to do', async () => {
    await using server = await proxy()
    const { ok, detail } = await postgres.open({ url: `${server.url}&sslmode=require` }).check(signal)
    assert.equal(ok, false)
    assert.match(detail, /its TLS certificate is not trusted \(\w+\): name the authority that signed it in caFile/)
  })

  it('a certificate for another name: config', async () => {
    await using server = await proxy()
    const { ok, detail } = await postgres.open({ url: server.url.replace('127.0.0.1', 'localhost'), caFile: certFile }).check(signal)
    assert.equal(ok, false)
    assert.match(detail, /it is for another host name/)
  })

  it('sslmode=no-verify takes any certificate', async () => {
    await using server = await proxy()
    const { ok, detail } = await postgres.open({ url: `${server.url}&sslmode=no-verify` }).check(signal)
    assert.equal(ok, true, detail)
  })
})
