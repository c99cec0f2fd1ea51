import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { openHttp, type Http, type HttpRequest } from '../../connectors/http.ts'
import { connectorError, countingGate } from './destination-fixture.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const LONG = 'a line of a long answer\n'.repeat(100_000)

/** A raw server: `answer` sees the n-th request (1-based, over all connections) and its socket. */
class RawServer {
  readonly server: Server
  readonly sockets: Socket[] = []
  requests = 0

  constructor(answer: (socket: Socket, n: number) => void) {
    this.server = createServer((socket) => {
      this.sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('data', () => answer(socket, ++this.requests))
    })
  }

  async url(protocol = 'http'): Promise<string> {
    if (!this.server.listening) await once(this.server.listen(0, '127.0.0.1'), 'listening')
    const address = this.server.address()
    return `${protocol}://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

function open(baseUrl: string, extra: Partial<Parameters<typeof openHttp>[0]> = {}): Http & AsyncDisposable {
  const http = openHttp({ baseUrl, connections: 1, allowPrivateNetwork: true, label: 'the test server', ...extra })
  return { ...http, [Symbol.asyncDispose]: () => http.close() }
}

function post(extra: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'POST', path: '/private-1', body: 'private-2', timeoutMs: 5000, gate: countingGate(), what: 'a batch', ...extra }
}

describe('http', { timeout: 60_000 }, () => {
  it('joins the base path, keeps one connection, gives status, headers and text', async () => {
    const heads: string[] = []
    await using server = new RawServer((socket) =>
      socket.write('HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 2\r\n\r\nok'),
    )
    server.server.on('connection', (socket: Socket) =>
      socket.on('data', (data: Buffer) => heads.push(data.toString().split('\r\n')[0] ?? '')),
    )
    await using http = open(`${await server.url()}/base/`)
    for (let n = 0; n < 2; n++) {
      const { status, headers, text } = await http.request(post({ path: '/a?b=c' }))
      assert.deepEqual([status, headers['location'], headers['set-cookie'], text], [302, '/x', 'a, b', 'ok'])
    }
    assert.deepEqual(heads, ['POST /base/a?b=c HTTP/1.1', 'POST /base/a?b=c HTTP/1.1'])
    assert.equal(server.sockets.length, 1)
  })

  it('admits, makes the headers, asserts freshness, sends: in this order', async () => {
    const order: string[] = []
    await using server = new RawServer((socket) => {
      order.push('bytes')
      socket.write(OK)
    })
    await using http = open(await server.url())
    const admit = () => Promise.resolve(void order.push('admit'))
    const gate = countingGate({ admit, assertFresh: () => void order.push('fresh') })
    await http.request(post({ gate, headers: () => (order.push('headers'), {}) }))
    assert.deepEqual(order, ['admit', 'headers', 'fresh', 'bytes'])
  })

  it('a kept-alive connection that the server drops on the second request: in doubt, not sent again', async () => {
    await using server = new RawServer((socket, n) => (n === 1 ? socket.write(OK) : socket.destroy()))
    await using http = open(await server.url())
    await http.request(post())
    assert.equal((await connectorError(http.request(post()))).kind, 'in_doubt')
    assert.equal(server.requests, 2)
  })

  it('TLS towards a server without it, an unknown name, a dropped connect: unreachable', async () => {
    await using server = new RawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await using dropper = new RawServer(() => undefined)
    dropper.server.on('connection', (socket: Socket) => socket.resetAndDestroy())
    for (const url of [await server.url('https'), 'http://does-not-exist.invalid', await dropper.url('https')]) {
      await using http = open(url)
      const error = await connectorError(http.request(post()))
      assert.equal(error.kind, 'unreachable', inspect(error))
      assert.equal((await connectorError(http.probe())).kind, 'unreachable')
    }
  })

  it('a request that waits for a connection is cancelled without being sent; the one in flight ends', async () => {
    await using server = new RawServer(() => undefined)
    await using http = open(await server.url())
    const first = http.request(post())
    const cancel = new AbortController()
    const gate = countingGate({
      signal: cancel.signal,
      assertFresh: () => assert.fail('freshness is asserted before there is a connection'),
    })
    const second = connectorError(http.request(post({ gate })))
    while (server.requests === 0) await once(server.sockets[0] ?? server.server, server.sockets[0] ? 'data' : 'connection')
    cancel.abort()
    assert.equal((await second).kind, 'cancelled')
    server.sockets[0]?.write(OK)
    assert.equal((await first).text, 'ok')
    assert.equal(server.requests, 1)
  })

  it('a request that never gets a connection is unreachable, the silent one before it in doubt', async () => {
    await using server = new RawServer(() => undefined)
    await using http = open(await server.url())
    const first = connectorError(http.request(post({ timeoutMs: 400 })))
    const second = connectorError(http.request(post({ timeoutMs: 100 })))
    assert.equal((await second).kind, 'unreachable')
    assert.equal((await first).kind, 'in_doubt')
    assert.equal(server.requests, 1)
  })

  it('a timed out request loses its connection; the next one gets a new one', async () => {
    await using server = new RawServer((socket, n) => n > 1 && socket.write(OK))
    await using http = open(await server.url())
    assert.equal((await connectorError(http.request(post({ timeoutMs: 100 })))).code, 'TIMEOUT')
    assert.equal((await http.request(post())).text, 'ok')
    assert.equal(server.sockets.length, 2)
  })

  it('an answer over the cap, one cut in half, one that is no HTTP: in doubt', async () => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n' + 'x'.repeat(20000),
      'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf',
      'SSH-2.0\r\n\r\n',
    ]
    for (const answer of answers) {
      await using server = new RawServer((socket) => socket.end(answer))
      await using http = open(await server.url(), { maxResponseBytes: 10_000 })
      assert.equal((await connectorError(http.request(post()))).kind, 'in_doubt', answer.slice(0, 60))
    }
  })

  it('a long answer is handed over a chunk a turn of the event loop: 2 MB of CSV at once held a worker up for 60 ms', async () => {
    await using server = new RawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${LONG.length.toString(16)}\r\n`)
      socket.write(`${LONG}\r\n0\r\n\r\n`)
    })
    await using http = open(await server.url())
    let turn = 0
    let nextTurn = setImmediate(function count() {
      turn++
      nextTurn = setImmediate(count)
    })
    const turns: number[] = []
    let bytes = 0
    await http.request(
      post({
        receive: (chunk) => {
          bytes += chunk.length
          turns.push(turn)
        },
      }),
    )
    clearImmediate(nextTurn)
    assert.equal(bytes, LONG.length)
    assert.ok(turns.length > 10)
    assert.equal(new Set(turns).size, turns.length)
  })

  it('a long answer that ends with its connection, or breaks off in the middle: undici ended the process where it was paused', async () => {
    await using server = new RawServer((socket, n) => {
      if (n % 2 === 0) socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${LONG}`)
      else socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n${LONG}`, () => socket.resetAndDestroy())
    })
    await using http = open(await server.url())
    for (let n = 1; n <= 10; n++) {
      let bytes = 0
      const answer = http.request(post({ receive: (chunk) => void (bytes += chunk.length) }))
      if (n % 2 === 1) assert.equal((await connectorError(answer)).kind, 'in_doubt')
      else assert.deepEqual([(await answer).status, bytes], [200, LONG.length])
    }
  })

  it('a header with a line break is a configuration error that does not show it; nothing is sent', async () => {
    await using server = new RawServer((socket) => socket.write(OK))
    await using http = open(await server.url())
    const error = await connectorError(http.request(post({ headers: { authorization: 'Bearer hunter2\nx' } })))
    assert.equal(error.kind, 'config')
    assert.doesNotMatch(inspect(error), /hunter2|private-\d/)
    assert.equal(server.requests, 0)
  })
})
