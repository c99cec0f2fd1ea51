import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Destination } from '../../connectors/contract.ts'
import { salesforce } from '../../connectors/salesforce/index.ts'
import { salesforceStandIn } from '../../connectors/salesforce/stand-in.ts'
import { createSandbox, type Sandbox } from '../../connectors/sandbox/sandbox.ts'
import type { StandIn } from '../../connectors/sandbox/stand-in.ts'
import { connectorError, countingGate, requestFor } from './destination-fixture.ts'
import { CLIENT_SECRET, salesforceFixture } from './salesforce-fixture.ts'

const NEVER = new AbortController().signal
const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = KEYS.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const JWT = { privateKey: PEM, username: 'sync@example.com' }
const SECRET = { clientSecret: CLIENT_SECRET }

interface Bench {
  readonly sandbox: Sandbox
  readonly standIn: StandIn
  readonly loginUrl: string
  /** Moves the stand-in's clock. */
  readonly pass: (ms: number) => void
  readonly open: (config: Record<string, unknown>) => Destination
  readonly write: (destination: Destination, n?: number) => ReturnType<Destination['write']>
  readonly requests: (path: RegExp) => number
}

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  let passed = 0
  const standIn = salesforceStandIn({ now: () => Date.now() + passed })
  const sandbox = createSandbox({ standIns: [standIn] })
  const loginUrl = `${(await sandbox.listen(0)).url}/salesforce`
  const opened: Destination[] = []
  try {
    await body({
      sandbox,
      standIn,
      loginUrl,
      pass: (ms) => (passed += ms),
      open(config) {
        const destination = salesforce.open({ loginUrl, clientId: 'consumer-key', ...config })
        opened.push(destination)
        return destination
      },
      write: (destination, n = 1) => destination.write(requestFor(salesforceFixture, [salesforceFixture.record(n)], 'b'), countingGate()),
      requests: (path) =>
        [...sandbox.state.requests.values()].filter((entry) => path.test(entry.path)).reduce((sum, { count }) => sum + count, 0),
    })
  } finally {
    await sandbox.close()
    await Promise.all(opened.map((destination) => destination.close()))
  }
}

const TOKEN = /oauth2\/token/
const delivered = async (writing: ReturnType<Destination['write']>): Promise<void> =>
  assert.deepEqual(
    (await writing).map(({ status }) => status),
    ['delivered'],
  )

describe('salesforce account', { timeout: 60_000 }, () => {
  it('logs in by JWT bearer, client credentials and refresh token; the key may come on one line', () =>
    withBench(async ({ open, write, standIn }) => {
      standIn.configure?.({ jwtPublicKey: KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString() })
      const ways = [
        JWT,
        { ...JWT, privateKey: PEM.replaceAll('\n', '\\n') },
        SECRET,
        { refreshToken: 'r' },
        { ...SECRET, refreshToken: 'r' },
      ]
      for (const [n, way] of ways.entries()) await delivered(write(open(way), n))
      const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
      const error = await connectorError(write(open({ ...JWT, privateKey: other.toString() })))
      assert.equal(error.kind, 'auth')
      assert.match(error.message, /its certificate belongs to privateKey/)
    }))

  it('one log-in for many requests at once, and one after the session has ended', () =>
    withBench(async ({ open, write, requests, pass }) => {
      const destination = open(SECRET)
      const all = (from: number) => Promise.all([0, 1, 2, 3, 4].map((n) => write(destination, from + n)))
      assert.ok((await all(1)).flat().every(({ status }) => status === 'delivered'))
      assert.equal(requests(TOKEN), 1)
      pass(7_201_000)
      assert.ok((await all(6)).flat().every(({ status }) => status === 'delivered'))
      assert.equal(requests(TOKEN), 2)
    }))

  it('a 401 that never clears ends with what to do, after one more log-in', () =>
    withBench(async ({ open, write, requests, standIn }) => {
      const destination = open(SECRET)
      standIn.configure?.({ rejectSessions: true })
      const error = await connectorError(write(destination))
      assert.deepEqual([error.kind, error.code], ['auth', 'INVALID_SESSION_ID'])
      assert.match(error.message, /right after a new log-in.*session policy/)
      assert.equal(requests(TOKEN), 2)
    }))

  it('a refresh token that rotates is refused with the advice to use JWT', () =>
    withBench(async ({ open, write, standIn, requests }) => {
      standIn.configure?.({ rotateRefreshTokens: true })
      const error = await connectorError(write(open({ refreshToken: 'refresh-5ecret' })))
      assert.deepEqual([error.kind, error.code], ['auth', 'refresh_token_rotation'])
      assert.match(error.message, /JWT bearer/)
      assert.ok(!error.message.includes('5ecret'))
      assert.equal(requests(/composite/), 0)
    }))

  it('refusals of a log-in say what to do; an edge failure is tried again', () =>
    withBench(async ({ open, write, standIn, sandbox }) => {
      const refusals: [string, string, RegExp][] = [
        ['invalid_grant', "user hasn't approved this consumer", /pre-authorise/],
        ['invalid_grant', 'no client credentials user enabled', /run-as user/],
        ['invalid_grant', 'request not supported on this domain', /My Domain/],
        ['invalid_grant', 'expired access/refresh token', /authorise the app again/],
        ['invalid_client_id', 'client identifier invalid', /clientId or clientSecret is wrong/],
      ]
      for (const [error, words, advice] of refusals) {
        standIn.configure?.({ loginRefusal: { error, error_description: words } })
        const failure = await connectorError(write(open(SECRET)))
        assert.equal(failure.kind, 'auth')
        assert.match(failure.message, advice)
        assert.ok(!failure.message.includes(CLIENT_SECRET))
      }
      standIn.configure?.({ loginRefusal: null })
      sandbox.state.faults.add([
        { on: 'salesforce', path: '/services/oauth2', do: 'html', times: 1 },
        { on: 'salesforce', path: '/services/oauth2', do: 'drop_after', nth: 2 },
      ])
      const destination = open(SECRET)
      assert.equal((await connectorError(write(destination))).kind, 'unreachable')
      assert.equal((await connectorError(write(destination))).kind, 'unreachable')
      await delivered(write(destination))
    }))

  it('an instance that is not to be trusted with the session is refused', () =>
    withBench(async ({ open, write, sandbox, requests }) => {
      const body = { access_token: 'session-5ecret', instance_url: 'http://instance.example.com', token_type: 'Bearer' }
      sandbox.state.faults.add([{ on: 'salesforce', path: '/services/oauth2', do: 'status', status: 200, body }])
      const error = await connectorError(write(open(SECRET)))
      assert.equal(error.kind, 'config')
      assert.match(error.message, /https:\/\//)
      assert.equal(requests(/data/), 0)
    }))

  it('our share of the daily calls: what answers tell and what /limits says', () =>
    withBench(async ({ open, write, standIn, requests }) => {
      const destination = open({ ...SECRET, dailyRequestShare: 0.5 })
      await delivered(write(destination))
      assert.equal(requests(/limits/), 1)
      standIn.configure?.({ usedRequests: 7_499 })
      // The answer to this one tells that the share is used up.
      await delivered(write(destination, 2))
      const error = await connectorError(write(destination, 3))
      assert.deepEqual([error.kind, error.code], ['throttled', 'DAILY_REQUEST_SHARE'])
      assert.match(error.message, /7500 of the org's 15000 daily API calls.*50 %/)
      assert.ok((error.retryAfterMs ?? 0) >= 60_000)
      assert.equal(requests(/limits/), 1, 'what was told just now is not asked again')
      // Another worker, that knows nothing yet, asks before it sends.
      assert.equal((await connectorError(write(open({ ...SECRET, dailyRequestShare: 0.5 }), 4))).code, 'DAILY_REQUEST_SHARE')
      assert.equal(requests(/limits/), 2)
      assert.equal(standIn.report().totals.records, 2)
      standIn.configure?.({ usedRequests: 15_000 })
      const none = await connectorError(write(open(SECRET), 5))
      assert.deepEqual([none.kind, none.code], ['throttled', 'REQUEST_LIMIT_EXCEEDED'])
    }))

  it('check says what was reached and what is used, or what is wrong', () =>
    withBench(async ({ open, standIn, loginUrl }) => {
      const { host } = new URL(loginUrl)
      const detail = `Salesforce at ${host} answers and takes the credentials; 1 of 15000 daily API calls are used`
      assert.deepEqual(await open(SECRET).check(NEVER), { ok: true, detail })
      standIn.configure?.({ loginRefusal: { error: 'invalid_client', error_description: 'invalid client credentials' } })
      const check = await open(SECRET).check(NEVER)
      assert.equal(check.ok, false)
      assert.match(check.detail, /clientId or clientSecret is wrong/)
    }))

  it('versions: a retired one says so, one without the calls we need is refused', () =>
    withBench(async ({ open, sandbox, write }) => {
      sandbox.state.faults.add([
        {
          on: 'salesforce',
          path: '/services/data',
          do: 'status',
          status: 410,
          body: [{ errorCode: 'UNSUPPORTED_API_VERSION', message: 'GONE' }],
        },
      ])
      const error = await connectorError(write(open(SECRET)))
      assert.equal(error.kind, 'config')
      assert.match(error.message, /retired.*apiVersion/)
    }))

  it('configuration: exactly one way in, https unless on loopback, accounts told apart', () => {
    const base = { loginUrl: 'https://login.salesforce.com', clientId: 'c' }
    const accepted = salesforce.open({ ...base, ...SECRET })
    assert.deepEqual([accepted.timeoutMs, accepted.lostRequestMs, accepted.batchSize], [120_000, 30_000, 200])
    assert.equal(
      accepted.account,
      salesforce.open({ ...base, ...SECRET, loginUrl: 'https://login.salesforce.com/', timeoutSeconds: 5 }).account,
    )
    assert.notEqual(accepted.account, salesforce.open({ ...base, ...JWT }).account)
    assert.ok(!accepted.account.includes(CLIENT_SECRET))
    const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const wrong: [Record<string, unknown>, RegExp][] = [
      [base, /exactly one of privateKey and username/],
      [{ ...base, ...JWT, ...SECRET }, /exactly one/],
      [{ ...base, privateKey: PEM }, /privateKey and username together/],
      [{ ...base, ...JWT, privateKey: 'nonsense-5ecret' }, /no private key in PEM form/],
      [{ ...base, ...JWT, privateKey: elliptic }, /RSA/],
      [{ ...base, ...SECRET, loginUrl: 'http://login.salesforce.com' }, /https:\/\//],
      [{ ...base, ...SECRET, loginUrl: 'nonsense' }, /loginUrl/],
      [{ ...base, ...SECRET, apiVersion: '45.0' }, /46\.0 or newer/],
      [{ ...base, ...SECRET, apiVersion: '66' }, /apiVersion/],
      [{ ...base, ...SECRET, colour: 'red' }, /config/],
      [{ ...base, ...SECRET, dailyRequestShare: 1.5 }, /dailyRequestShare/],
    ]
    for (const [config, message] of wrong) {
      assert.throws(
        () => salesforce.open(config),
        (error: Error) => message.test(error.message) && !/5ecret|BEGIN/.test(error.message),
      )
    }
  })
})
