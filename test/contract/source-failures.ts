import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inspect } from 'node:util'
import type { ConnectorError } from '../../connectors/errors.ts'
import { eventually } from '../harness/eventually.ts'
import { failure, readAll, request, type SourceFixture } from './source-fixture.ts'

/** The half of the source suite in which something goes wrong. `made` is asked within each test. */
export function sourceFailures(made: () => SourceFixture): void {
  const errors: ConnectorError[] = []
  const failing = async (work: Promise<unknown>): Promise<ConnectorError> => {
    const error = await failure(work)
    errors.push(error)
    return error
  }
  const signal = new AbortController().signal
  const test = (name: string, body: (fixture: SourceFixture) => Promise<void> | void): void => void it(name, () => body(made()))

  test('check: says what was reached', async (fixture) => {
    const { ok, detail } = await fixture.source.check(signal)
    assert.equal(ok, true, detail)
    for (const secret of fixture.secrets) assert.ok(!detail.includes(secret), 'a secret in the detail')
  })

  test('nothing listens there: check says so, everything else throws source', async (fixture) => {
    const { ok, detail } = await fixture.unreachable.check(signal)
    assert.equal(ok, false)
    assert.match(detail, /cannot be reached/)
    assert.equal((await failing(fixture.unreachable.describe(fixture.slow, signal))).kind, 'source')
    assert.equal((await failing(fixture.unreachable.read(request(fixture.slow, ['id'], ['id'])))).kind, 'source')
  })

  test('not let in: check says so, everything else throws auth', async (fixture) => {
    assert.equal((await fixture.refused.check(signal)).ok, false)
    assert.equal((await failing(fixture.refused.describe(fixture.slow, signal))).kind, 'auth')
    assert.equal((await failing(fixture.refused.read(request(fixture.slow, ['id'], ['id'])))).kind, 'auth')
  })

  test('SQL that is not valid: query, with the warehouse’s words and the place', async (fixture) => {
    for (const work of [
      () => fixture.source.describe(fixture.broken.query, signal),
      () => fixture.source.read(request(fixture.broken.query, ['id'], [])),
    ]) {
      const { kind, message } = await failing(work())
      assert.equal(kind, 'query')
      if (fixture.broken.where !== null) assert.ok(message.includes(fixture.broken.where), message)
    }
  })

  test('two statements: config', async (fixture) => {
    for (const work of [
      () => fixture.source.describe(fixture.twoStatements, signal),
      () => fixture.source.read(request(fixture.twoStatements, ['id'], [])),
    ]) {
      const { kind, message } = await failing(work())
      assert.equal(kind, 'config')
      assert.match(message, /more than one statement/)
    }
  })

  test('a row that the model cannot compute: query, without its value', async (fixture) => {
    const error = await failing(readAll(fixture.source, request(fixture.badRow, ['id'], ['id'])))
    assert.equal(error.kind, 'query')
    assert.ok(!inspect(error).includes('private-value'), inspect(error))
  })

  test('the connection is lost in mid-read: source, and it does not hang', async (fixture) => {
    const reading = await fixture.source.read(request(fixture.many(100_000), ['id'], ['filler']))
    const blocks = reading.blocks()[Symbol.asyncIterator]()
    assert.equal((await blocks.next()).done, false)
    await fixture.loseConnections()
    const error = await failing(drain(blocks))
    assert.equal(error.kind, 'source')
  })

  test('the connection is lost before the first row: source', async (fixture) => {
    const blocks = (await fixture.source.read(request(fixture.slow, ['id'], []))).blocks()[Symbol.asyncIterator]()
    const first = failing(blocks.next())
    await eventually('the query runs', async () => (await fixture.running()) === 1)
    await fixture.loseConnections()
    assert.equal((await first).kind, 'source')
  })

  test('cancelled before it starts', async (fixture) => {
    const aborted = AbortSignal.abort()
    assert.equal((await failing(fixture.source.describe(fixture.slow, aborted))).kind, 'cancelled')
    assert.equal((await failing(fixture.source.read(request(fixture.slow, ['id'], [], aborted)))).kind, 'cancelled')
    assert.equal((await failing(fixture.source.check(aborted))).kind, 'cancelled')
  })

  test('cancelled while the warehouse computes: nothing is left running', async (fixture) => {
    const abort = new AbortController()
    const blocks = (await fixture.source.read(request(fixture.slow, ['id'], [], abort.signal))).blocks()[Symbol.asyncIterator]()
    const first = failing(blocks.next())
    await eventually('the query runs', async () => (await fixture.running()) === 1)
    abort.abort()
    assert.equal((await first).kind, 'cancelled')
    await eventually('nothing is left running', async () => (await fixture.running()) === 0)
  })

  test('cancelled between two blocks: the next one is refused, nothing is left running', async (fixture) => {
    const abort = new AbortController()
    const blocks = (await fixture.source.read(request(fixture.many(100_000), ['id'], ['filler'], abort.signal)))
      .blocks()
      [Symbol.asyncIterator]()
    assert.equal((await blocks.next()).done, false)
    abort.abort()
    assert.equal((await failing(drain(blocks))).kind, 'cancelled')
    await eventually('nothing is left running', async () => (await fixture.running()) === 0)
  })

  test('cancelled between opening and reading', async (fixture) => {
    const abort = new AbortController()
    const reading = await fixture.source.read(request(fixture.slow, ['id'], [], abort.signal))
    abort.abort()
    assert.equal((await failing(drain(reading.blocks()[Symbol.asyncIterator]()))).kind, 'cancelled')
    await eventually('nothing is left running', async () => (await fixture.running()) === 0)
  })

  test('a reader that leaves early leaves nothing running', async (fixture) => {
    const reading = await fixture.source.read(request(fixture.many(100_000), ['id'], ['filler']))
    for await (const block of reading.blocks()) {
      assert.ok(block.length > 0)
      break
    }
    await eventually('nothing is left running', async () => (await fixture.running()) === 0)
  })

  test('no error held a secret', (fixture) => {
    assert.ok(errors.length > 10)
    for (const error of errors) {
      for (const secret of fixture.secrets) assert.ok(!inspect(error).includes(secret), `a secret in: ${error.message}`)
    }
  })
}

async function drain(blocks: AsyncIterator<unknown>): Promise<void> {
  for (let step = await blocks.next(); step.done !== true; step = await blocks.next());
}
