import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Destination } from '../../connectors/contract.ts'
import { hubspot } from '../../connectors/hubspot/index.ts'
import { hubspotStandIn } from '../../connectors/hubspot/stand-in.ts'
import { createSandbox, type Sandbox } from '../../connectors/sandbox/sandbox.ts'
import type { StandIn } from '../../connectors/sandbox/stand-in.ts'
import { connectorError, countingGate, requestFor } from './destination-fixture.ts'
import { hubspotFixture, TOKEN } from './hubspot-fixture.ts'

const OAUTH = { clientId: 'client-1', clientSecret: 'c1ient-secret', refreshToken: 'refresh-secret' }
const NEVER = new AbortController().signal

interface Bench {
  readonly sandbox: Sandbox
  readonly standIn: StandIn
  readonly baseUrl: string
  /** Moves the stand-in's clock. */
  readonly pass: (ms: number) => void
  readonly open: (config: Record<string, unknown>) => Destination
  readonly write: (destination: Destination, n?: number) => ReturnType<Destination['write']>
  readonly requests: (path: string) => number
}

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  let time = Date.parse('2026-01-31T12:00:00Z')
  const standIn = hubspotStandIn({ now: () => time })
  const sandbox = createSandbox({ standIns: [standIn] })
  const baseUrl = `${(await sandbox.listen(0)).url}/hubspot`
  const opened: Destination[] = []
  try {
    await body({
      sandbox,
      standIn,
      baseUrl,
      pass: (ms) => (time += ms),
      open(config) {
        const destination = hubspot.open({ baseUrl, ...config })
        opened.push(destination)
        return destination
      },
      write: (destination, n = 1) => destination.write(requestFor(hubspotFixture, [hubspotFixture.record(n)], 'b'), countingGate()),
      requests: (path) =>
        [...sandbox.state.requests.values()].filter((entry) => entry.path === path).reduce((sum, { count }) => sum + count, 0),
    })
  } finally {
    await sandbox.close()
    await Promise.all(opened.map((destination) => destination.close()))
  }
}

describe('hubspot account', { timeout: 60_000 }, () => {
  it('OAuth: one refresh for many requests at once, kept by the clock', () =>
    withBench(async ({ open, write, requests, standIn }) => {
      const destination = open({ oauth: OAUTH })
      const outcomes = await Promise.all([1, 2, 3, 4, 5].map((n) => write(destination, n)))
      assert.ok(outcomes.flat().every(({ status }) => status === 'delivered'))
      await write(destination, 6)
      assert.equal(requests('/oauth/v1/token'), 1)
      assert.equal(standIn.report().findings['tokenRefreshes'], 1)
    }))

  it('OAuth: a token that ended early is renewed once after the 401, and the request goes on; a second 401 ends it', () =>
    withBench(async ({ open, write, requests, pass, sandbox }) => {
      const destination = open({ oauth: OAUTH })
      await write(destination)
      pass(1_801_000)
      assert.deepEqual(
        (await write(destination, 2)).map(({ status }) => status),
        ['delivered'],
      )
      assert.equal(requests('/oauth/v1/token'), 2)
      sandbox.state.faults.add([{ on: 'hubspot', path: '/crm/', do: 'status', status: 401, body: {}, times: 'always' }])
      assert.equal((await connectorError(write(destination, 3))).kind, 'auth')
      assert.equal(requests('/oauth/v1/token'), 3)
    }))

  it('OAuth: a revoked connection and wrong client credentials say what to do; an edge failure is tried again', () =>
    withBench(async ({ open, write, standIn, sandbox }) => {
      for (const [failure, advice] of [
        ['BAD_REFRESH_TOKEN', /connect the app again/],
        ['BAD_HUB', /connect the app again/],
        ['BAD_CLIENT_SECRET', /clientSecret is wrong/],
      ] as const) {
        standIn.configure?.({ refreshFailure: failure })
        const error = await connectorError(write(open({ oauth: OAUTH })))
        assert.equal(error.kind, 'auth')
        assert.match(error.message, advice)
        assert.ok(!/c1ient-secret|refresh-secret/.test(error.message))
      }
      sandbox.state.faults.add([
        { on: 'hubspot', path: '/oauth', do: 'html', times: 1 },
        { on: 'hubspot', path: '/oauth', do: 'drop_after', nth: 2 },
      ])
      const destination = open({ oauth: OAUTH })
      standIn.configure?.({ refreshFailure: null })
      assert.equal((await connectorError(write(destination))).kind, 'unreachable')
      assert.equal((await connectorError(write(destination))).kind, 'unreachable')
      assert.deepEqual(
        (await write(destination)).map(({ status }) => status),
        ['delivered'],
      )
    }))

  it('the headers tell the account’s rate; a configured rate is never exceeded', () =>
    withBench(async ({ open, standIn }) => {
      standIn.configure?.({ perTenSeconds: 190 })
      const rates: number[] = []
      const gate = countingGate({ allow: ({ requestsPerSecond }) => rates.push(requestsPerSecond) })
      const request = requestFor(hubspotFixture, [hubspotFixture.record(1)], 'b')
      await open({ accessToken: TOKEN }).write(request, gate)
      await open({ accessToken: TOKEN, requestsPerSecond: 3 }).write(request, gate)
      assert.deepEqual(
        rates.map((rate) => Math.round(rate * 100) / 100),
        [17.1, 3],
      )
      assert.equal(open({ accessToken: TOKEN }).requestsPerSecond, 10)
    }))

  it('limits: ten seconds in both shapes, and the day until the account’s midnight', () =>
    withBench(async ({ open, write, standIn, pass }) => {
      const destination = open({ accessToken: TOKEN })
      standIn.configure?.({ perTenSeconds: 1 })
      await write(destination)
      for (const rateLimitShape of ['policyName', 'category']) {
        standIn.configure?.({ rateLimitShape })
        const error = await connectorError(write(destination, 2))
        assert.deepEqual([error.kind, error.retryAfterMs], ['throttled', 10_000])
      }
      pass(10_000)
      assert.deepEqual(
        (await write(destination, 2)).map(({ status }) => status),
        ['delivered'],
      )
      standIn.configure?.({ perTenSeconds: 100, perDay: 0 })
      const daily = await connectorError(write(destination, 3))
      assert.deepEqual([daily.kind, daily.code], ['throttled', 'DAILY'])
      assert.ok(
        (daily.retryAfterMs ?? 0) >= 1_000 && (daily.retryAfterMs ?? 0) <= 3_600_000,
        'the account details are refused too: the next full hour',
      )
      assert.equal(standIn.report().totals.records, 2)
    }))

  it('a daily limit waits by the account’s time zone where it can be asked', () =>
    withBench(async ({ open, write, standIn, sandbox }) => {
      const zone =
        Array.from({ length: 24 }, (_, index) => `Etc/GMT${index < 12 ? '-' : '+'}${index < 12 ? index : index - 11}`).find(
          (name) => hourIn(name) === 12,
        ) ?? 'UTC'
      standIn.configure?.({ timeZone: zone })
      const body = { status: 'error', message: 'You have reached your daily limit.', errorType: 'RATE_LIMIT', policyName: 'DAILY' }
      sandbox.state.faults.add([{ on: 'hubspot', path: '/crm/', do: 'status', status: 429, body }])
      const error = await connectorError(write(open({ accessToken: TOKEN })))
      assert.ok((error.retryAfterMs ?? 0) > 10.9 * 3_600_000 && (error.retryAfterMs ?? 0) <= 12 * 3_600_000, String(error.retryAfterMs))
    }))

  it('a missing scope ends with its name; check says what was reached or what is wrong', () =>
    withBench(async ({ open, write, standIn, baseUrl }) => {
      const destination = open({ accessToken: TOKEN })
      const detail = `HubSpot account 4711 at ${new URL(baseUrl).host} answers and takes the credentials`
      assert.deepEqual(await destination.check(NEVER), { ok: true, detail })
      standIn.configure?.({ missingScopes: ['crm.objects.contacts.write'] })
      const error = await connectorError(write(destination))
      assert.equal(error.kind, 'auth')
      assert.match(error.message, /MISSING_SCOPES: crm\.objects\.contacts\.write/)
      standIn.configure?.({ acceptedTokens: ['another'] })
      const check = await destination.check(NEVER)
      assert.equal(check.ok, false)
      assert.match(check.detail, /access token is not valid/)
      assert.ok(!check.detail.includes(TOKEN))
    }))

  it('configuration: exactly one way in, https unless on loopback, accounts told apart', () => {
    const accepted = hubspot.open({ accessToken: TOKEN })
    assert.equal(accepted.timeoutMs, 60_000)
    assert.equal(accepted.lostRequestMs, 30_000)
    assert.equal(accepted.account, hubspot.open({ accessToken: TOKEN, baseUrl: 'https://api.hubapi.com/', timeoutSeconds: 5 }).account)
    assert.notEqual(accepted.account, hubspot.open({ accessToken: 'other' }).account)
    assert.ok(!accepted.account.includes(TOKEN))
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{}, /exactly one of accessToken .* and oauth/],
      [{ accessToken: TOKEN, oauth: OAUTH }, /exactly one/],
      [{ accessToken: TOKEN, baseUrl: 'http://hubspot.example.com' }, /https:\/\//],
      [{ accessToken: TOKEN, baseUrl: 'nonsense' }, /baseUrl/],
      [{ accessToken: TOKEN, colour: 'red' }, /config/],
      [{ oauth: { clientId: 'a' } }, /config\.oauth/],
    ]
    for (const [config, message] of wrong) {
      assert.throws(
        () => hubspot.open(config),
        (error: Error) => message.test(error.message) && !error.message.includes(TOKEN),
      )
    }
  })
})

function hourIn(timeZone: string): number {
  return Number(new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', hourCycle: 'h23' }).format(Date.now()))
}
