import { connect, createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

export interface Listening extends AsyncDisposable {
  readonly port: number
}

/** A PostgreSQL server on loopback that answers every start-up with one FATAL error, as the real one refuses a login. */
export async function fatalServer(sqlstate: string, message: string): Promise<Listening> {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlstate}\0M${message}\0Rauth_failed\0\0`)
  const head = Buffer.from('E....')
  head.writeInt32BE(fields.length + 4, 1)
  return listen(createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(Buffer.concat([head, fields])))))
}

/** A way to a server that can fall silent: connections that stand then carry no byte more, new ones work. */
export async function stallingProxy(target: string): Promise<Listening & { readonly url: string; stall(): void }> {
  const { hostname, port } = new URL(target)
  const standing = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    standing.add(upstream)
    client.pipe(upstream)
    upstream.pipe(client)
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  })
  const listening = await listen(server)
  const url = new URL(target)
  url.host = `127.0.0.1:${listening.port}`
  const stall = (): void => {
    for (const upstream of standing) upstream.unpipe()
  }
  return { ...listening, url: url.href, stall }
}

/** A way to a server that loses one row: the second CopyData message of a connection does not arrive. */
export async function losingProxy(target: string): Promise<Listening & { readonly url: string }> {
  const { hostname, port } = new URL(target)
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    client.pipe(upstream)
    let held = Buffer.alloc(0)
    let rows = 0
    upstream.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      // One byte of type, then the length of the rest, itself included.
      while (held.length >= 5 && held.length > held.readInt32BE(1)) {
        const message = held.subarray(0, 1 + held.readInt32BE(1))
        held = held.subarray(message.length)
        const isRow = message[0] === 'd'.charCodeAt(0)
        if (!isRow || ++rows !== 2) client.write(message)
      }
    })
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  })
  const listening = await listen(server)
  const url = new URL(target)
  url.host = `127.0.0.1:${listening.port}`
  return { ...listening, url: url.href }
}

/** A server that offers TLS and hands on what is inside it. */
export async function tlsProxy(
  target: string,
  { key, cert }: { key: Buffer; cert: Buffer },
): Promise<Listening & { readonly url: string }> {
  const { hostname, port } = new URL(target)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    // SSLRequest, answered by S; then the client's hello.
    socket.once('data', () => {
      socket.write('S')
      const inside = new TLSSocket(socket, { isServer: true, key, cert })
      const upstream = connect(Number(port), hostname)
      const end = (): void => {
        inside.destroy()
        upstream.destroy()
      }
      for (const side of [inside, upstream]) side.on('error', end).on('close', end)
      inside.pipe(upstream)
      upstream.pipe(inside)
    })
  })
  const listening = await listen(server)
  const url = new URL(target)
  url.host = `127.0.0.1:${listening.port}`
  return { ...listening, url: url.href }
}

export async function listen(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
