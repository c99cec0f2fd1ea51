import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { parse, stringify } from 'lossless-json'
import { request } from 'undici'
import { ConnectorError, type ErrorKind } from '../../connectors/errors.ts'
import type { Fault } from '../../connectors/sandbox/faults.ts'
import { connectorError, countingGate, openBench, requestFor, type Bench, type DestinationFixture } from './destination-fixture.ts'

/** What every destination connector owes the pipeline. A connector is done when this passes for it. */
export function destinationSuite(fixture: DestinationFixture): void {
  describe(`destination ${fixture.connector.slug}`, { timeout: 120_000 }, () => {
    const errors: ConnectorError[] = []
    const failing = async (promise: Promise<unknown>): Promise<ConnectorError> => {
      const error = await connectorError(promise)
      errors.push(error)
      return error
    }
    const three = () => [1, 2, 3].map((n) => fixture.record(n))
    const test = (name: string, body: (bench: Bench) => Promise<void>): void => {
      it(name, async () => {
        await using bench = await openBench(fixture)
        await body(bench)
      })
    }

    test('delivers a batch: one outcome per record, each version effective once', async (bench) => {
      const request = bench.request(three())
      const outcomes = await bench.destination.write(request, countingGate())
      assert.deepEqual(statuses(outcomes), Object.fromEntries(request.records.map(({ id }) => [id, 'delivered'])))
      const { writes, totals } = bench.standIn.report()
      assert.deepEqual({ effective: totals.effective, repeated: totals.repeated }, { effective: 3, repeated: 0 })
      assert.equal(writes.filter(({ effective }) => effective === 1).length, 3)
    })

    test('A, then B, then A again are three effective writes', async (bench) => {
      const back = {
        ...fixture.record(1),
        id: 'version-3',
        line: fixture.record(1).line.replace(JSON.stringify(fixture.record(1).id), '"version-3"'),
      }
      for (const [index, record] of [fixture.record(1), fixture.changed(1), back].entries()) {
        const outcomes = await bench.destination.write(bench.request([record], `batch-${index}`), countingGate())
        assert.deepEqual(statuses(outcomes), { [record.id]: 'delivered' })
      }
      assert.equal(bench.standIn.report().totals.effective, 3)
    })

    test('a record that is refused is found by its id, its neighbours are delivered', async (bench) => {
      const bad = fixture.bad(2, bench.standIn)
      const outcomes = await bench.destination.write(bench.request([fixture.record(1), bad, fixture.record(3)]), countingGate())
      assert.deepEqual(statuses(outcomes), {
        [fixture.record(1).id]: 'delivered',
        [bad.id]: 'rejected',
        [fixture.record(3).id]: 'delivered',
      })
      assert.equal(bench.standIn.report().totals.effective, 2)
    })

    test(`an answer that does not mention the records: ${fixture.silent.means}`, async (bench) => {
      bench.fault({ do: 'status', status: 200, body: fixture.silent.body, commit: 'before' })
      const request = bench.request(three())
      const told = statuses(await bench.destination.write(request, countingGate()))
      for (const { id } of request.records) assert.equal(told[id] ?? 'in_doubt', fixture.silent.means)
    })

    const lost: [string, Omit<Fault, 'on' | 'method' | 'path'>, number][] = [
      ['the connection is dropped before the request was applied', { do: 'drop_before' }, 0],
      ['the connection is dropped after the request was applied', { do: 'drop_after' }, 3],
      ['500', { do: 'status', status: 500, body: {} }, 0],
      ['503 after the request was applied', { do: 'status', status: 503, body: {}, commit: 'before' }, 3],
      ['a gateway’s HTML 502', { do: 'html' }, 0],
      ['a truncated answer', { do: 'truncate' }, 3],
      ['a reset in the middle of the answer', { do: 'reset_mid_body' }, 3],
    ]
    for (const [name, fault, applied] of lost) {
      test(`in doubt: ${name}`, async (bench) => {
        bench.fault(fault)
        const error = await failing(bench.destination.write(bench.request(three()), countingGate()))
        assert.equal(error.kind, 'in_doubt')
        assert.equal(bench.standIn.report().totals.effective, applied)
        assert.equal(writesArrived(bench), 1, 'the connector itself must not repeat a write')
      })
    }

    test('in doubt: no answer in time; the lost request may take effect later', async (bench) => {
      bench.fault({ do: 'hold' })
      const error = await failing(bench.destination.write(bench.request(three()), countingGate()))
      assert.equal(error.kind, 'in_doubt')
      assert.equal(bench.sandbox.state.holds.count, 1)
      assert.equal(bench.standIn.report().totals.effective, 0)
    })

    test('cancel while a request is in flight: it ends and is answered', async (bench) => {
      bench.fault({ do: 'hold' })
      const cancel = new AbortController()
      const writing = bench.destination.write(bench.request(three()), countingGate({ signal: cancel.signal }))
      assert.equal(await bench.sandbox.state.holds.reached(1, 10_000), true)
      cancel.abort()
      bench.sandbox.state.holds.release()
      assert.deepEqual([...new Set(Object.values(statuses(await writing)))], ['delivered'])
    })

    test('cancelled before: nothing is sent', async (bench) => {
      const error = await failing(bench.destination.write(bench.request(three()), countingGate({ signal: AbortSignal.abort() })))
      assert.equal(error.kind, 'cancelled')
      assert.equal(bench.arrived(), 0)
    })

    it('connection refused: unreachable', async () => {
      const destination = fixture.connector.open(fixture.config(await closedAddress()))
      const error = await failing(destination.write(requestFor(fixture, three(), 'batch-1'), countingGate()))
      assert.equal(error.kind, 'unreachable')
      assert.equal((await destination.check(new AbortController().signal)).ok, false)
      await destination.close()
    })

    for (const [index, { answer, waitMs }] of fixture.throttles.entries()) {
      test(`over the limit, form ${index + 1}: throttled with the wait it asks for, nothing applied`, async (bench) => {
        bench.fault({ do: 'status', ...answer })
        const error = await failing(bench.destination.write(bench.request(three()), countingGate()))
        assert.equal(error.kind, 'throttled')
        const wait = error.retryAfterMs ?? -1
        assert.ok(wait >= waitMs[0] && wait <= waitMs[1], `retryAfterMs ${wait}`)
        assert.equal(bench.standIn.report().totals.effective, 0)
      })
    }

    const whole: [string, Omit<Fault, 'on' | 'method' | 'path'>, ErrorKind][] = [
      ['401', { do: 'status', status: 401, body: {}, times: 'always' }, 'auth'],
      ['a redirect', { do: 'status', status: 302, headers: { location: '/elsewhere' } }, 'destination'],
      ['a refusal of the whole batch', { do: 'status', ...fixture.refusal }, 'refused'],
    ]
    for (const [name, fault, kind] of whole) {
      test(`${name}: ${kind}`, async (bench) => {
        bench.fault(fault)
        const error = await failing(bench.destination.write(bench.request(three()), countingGate()))
        assert.equal(error.kind, kind)
        assert.equal(bench.standIn.report().totals.effective, 0)
      })
    }

    test('the same refusal of a single record: rejected', async (bench) => {
      bench.fault({ do: 'status', ...fixture.refusal })
      const outcomes = await bench.destination.write(bench.request([fixture.record(1)]), countingGate())
      assert.deepEqual(statuses(outcomes), { [fixture.record(1).id]: 'rejected' })
    })

    test('a claim that is too old when the bytes would leave: stale, nothing is sent', async (bench) => {
      const assertFresh = () => {
        throw new ConnectorError('stale', 'the claim is too old')
      }
      const error = await failing(bench.destination.write(bench.request(three()), countingGate({ assertFresh })))
      assert.equal(error.kind, 'stale')
      assert.equal(bench.arrived(), 0)
    })

    test('each request waits for its own admission', async (bench) => {
      let fresh = 0
      const gate = countingGate({
        // Long enough for a request that does not wait to overtake: three round trips on the same loopback.
        async admit() {
          for (let n = 0; n < 3; n++) await (await request(`${bench.url}/_sandbox/report`)).body.dump()
        },
        assertFresh() {
          fresh += 1
          assert.ok(fresh <= gate.admitted, 'a request was about to leave before it was admitted')
        },
      })
      await bench.destination.write(bench.request(three()), gate)
      assert.equal(fresh, bench.arrived())
      assert.equal(gate.admitted, bench.arrived())
    })

    test('values survive', async (bench) => {
      const { destination } = bench
      const described = await destination.describe(fixture.object, new AbortController().signal)
      const encoded = fixture.values.map(({ field, kind, text }) => {
        const value = destination.encoder(described?.fields.find(({ name }) => name === field) ?? null, kind)(text)
        assert.ok('json' in value, `${field} (${kind}) was not taken`)
        return [field, value.json] as const
      })
      const record = fixture.recordWith(Object.fromEntries(encoded))
      assert.deepEqual(statuses(await destination.write(bench.request([record]), countingGate())), { [record.id]: 'delivered' })
      const [stored] = bench.standIn.records(fixture.object === '' ? undefined : fixture.object)
      const fields = parse(stringify(stored?.fields) ?? '{}')
      assert.ok(typeof fields === 'object' && fields !== null)
      const found = new Map(Object.entries(fields))
      for (const { field, stored: wanted } of fixture.values) assert.equal(stringify(found.get(field)), wanted, field)
    })

    if (fixture.connector.open(fixture.config('http://127.0.0.1:9')).readBack !== undefined) {
      test('read back: absent, then as wanted, then different', async (bench) => {
        const read = async (batch: ReturnType<Bench['request']>) => [
          ...((await bench.destination.readBack?.(batch, countingGate())) ?? []).values(),
        ]
        const request = bench.request(three())
        assert.deepEqual(await read(request), ['absent', 'absent', 'absent'])
        bench.fault({ do: 'drop_after' })
        await failing(bench.destination.write(request, countingGate()))
        assert.deepEqual(await read(request), ['as_wanted', 'as_wanted', 'as_wanted'])
        assert.deepEqual(await read(bench.request([fixture.changed(1)])), ['differs'])
      })
    }

    after(() => {
      assert.ok(errors.length > 10)
      for (const error of errors) {
        const everything = inspect(error, { depth: 10 })
        for (const secret of fixture.secrets) assert.ok(!everything.includes(secret), `a secret is in: ${error.message}`)
        assert.ok(!/private-\d/.test(everything), `a row value is in: ${error.message}`)
      }
    })

    function writesArrived({ sandbox }: Bench): number {
      const pattern = new RegExp(fixture.writes.path ?? '')
      const hit = (path: string) =>
        fixture.writes.path?.startsWith('/') === true ? path.startsWith(fixture.writes.path) : pattern.test(path)
      return [...sandbox.state.requests.values()].reduce((sum, { path, count }) => sum + (hit(path) ? count : 0), 0)
    }
  })
}

function statuses(outcomes: readonly { readonly id: string; readonly status: string }[]): Record<string, string> {
  return Object.fromEntries(outcomes.map(({ id, status }) => [id, status]))
}

/** An address nobody listens at: a port that was just free. */
async function closedAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 9}`
}
