import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import { OidcTokens } from '../../server/api/oidc.ts'
import { TokenStore } from '../../server/api/tokens.ts'
import { startApi, type ApiFixture } from './api-fixture.ts'

/** Tokens of an OpenID Connect issuer, against one of our own: what is not signed by it, for us, now, gets nobody in. */
const AUDIENCE = 'tailrace-test'
const ALL = 'openid config:read runs:read runs:write'
let server: Server
let issuer: string
let api: ApiFixture
let keys: JWK[] = []
let up = true
let first: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }

before(async () => {
  server = createServer((request, response) => {
    const body = request.url === '/keys' ? { keys } : { issuer, jwks_uri: `${issuer}/keys` }
    response.writeHead(up ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  first = await generateKeyPair('RS256')
  keys = [{ ...(await exportJWK(first.publicKey)), kid: 'first', alg: 'RS256', use: 'sig' }]
  const oidc = new OidcTokens({ issuer, audience: AUDIENCE })
  api = await startApi({ tokens: await TokenStore.open({ token: 'static-token', file: null, oidc }) })
})
after(async () => {
  await api.stop()
  server.close()
})

interface Claims {
  readonly iss?: string
  readonly aud?: string
  readonly exp?: number | null
  readonly nbf?: number
  readonly scope?: unknown
}

const now = (): number => Math.floor(Date.now() / 1000)

async function token(
  claims: Claims = {},
  key: CryptoKey | Uint8Array = first.privateKey,
  header = { alg: 'RS256', kid: 'first' },
): Promise<string> {
  const { iss = issuer, aud = AUDIENCE, exp = now() + 300, nbf, scope = ALL } = claims
  const payload = { iss, aud, sub: 'ci@example', scope, ...(exp === null ? {} : { exp }), ...(nbf === undefined ? {} : { nbf }) }
  return new SignJWT(payload).setProtectedHeader(header).sign(key)
}

const ask = async (bearer: string, url = '/v1/runs') => api.call('GET', url, { headers: { authorization: `Bearer ${bearer}` } })

test('while the issuer is away nobody of it gets in, and the others do', async () => {
  up = false
  const { status, body } = await ask(await token())
  assert.deepEqual([status, body['code']], [503, 'issuer_away'])
  assert.equal((await ask('static-token')).status, 200)
  assert.equal((await ask('no-token-of-anybody')).status, 401)
  up = true
  assert.equal((await ask(await token())).status, 200)
})

test('scopes come from the scope claim', async () => {
  assert.equal((await ask(await token({ scope: 'runs:read' }))).status, 200)
  const { status, body } = await ask(await token({ scope: 'runs:write profile' }))
  assert.deepEqual([status, body['code']], [403, 'scope'])
  assert.equal((await ask(await token({ scope: '' }))).status, 403)
  assert.equal((await ask(await token({ scope: ['runs:read'] }))).status, 403, 'a list is not what the standard says')
  assert.equal((await ask(await token({ scope: ALL }), '/v1/syncs/none/rejections')).status, 403, 'row values need records:read')
})

test('a token for others, of others, out of its time or without an end is nobody’s', async () => {
  const stranger = await generateKeyPair('RS256')
  for (const [what, wrong] of Object.entries({
    audience: await token({ aud: 'another-service' }),
    issuer: await token({ iss: 'https://issuer.example' }),
    expired: await token({ exp: now() - 60 }),
    early: await token({ nbf: now() + 120 }),
    endless: await token({ exp: null }),
    forged: await token({}, stranger.privateKey),
    unknownKey: await token({}, stranger.privateKey, { alg: 'RS256', kid: 'stranger' }),
    unsigned: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await token()).split('.')[1]}.`,
    hmacWithThePublicKey: await token({}, new TextEncoder().encode(JSON.stringify(keys[0])), { alg: 'HS256', kid: 'first' }),
    garbage: 'a.b.c',
  })) {
    const { status, text } = await ask(wrong)
    assert.equal(status, 401, what)
    assert.doesNotMatch(text, /eyJ/, 'the token is not quoted')
  }
  assert.equal((await ask(await token({ exp: now() - 10 }))).status, 200, 'half a minute of clock skew')
  assert.doesNotMatch(api.log(), /eyJ/)
})
