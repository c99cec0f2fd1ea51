import { once } from 'node:events'
import { connect, constants, createSecureServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { eventually } from './eventually.ts'

/** PEM. */
export interface Identity {
  readonly key: string
  readonly cert: string
}

/** Who may come in from now on. */
export interface Admission {
  /** Client certificates that one of these authorities signed. */
  readonly authorities: readonly string[]
  readonly apiKeys: readonly string[]
}

const UNAUTHENTICATED = '16'

/**
 * What stands before a managed Temporal: TLS that demands a client certificate, then gRPC that demands an API key in its metadata.
 * Harsher than the real ones: who is not admitted any more loses the connections that are open.
 */
export async function startTemporalFront(temporal: string, server: Identity, first: Admission) {
  const upstream = connect(`http://${temporal}`)
  const sockets = new Set<Socket>()
  const seen = { certificates: [] as string[], apiKeys: [] as string[] }
  let admission = first
  const tls = createSecureServer({ ...server, ca: [...first.authorities], requestCert: true, rejectUnauthorized: true })
  tls.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  // Clients that are turned away.
  tls.on('tlsClientError', () => undefined)
  tls.on('session', (session) => {
    session.on('error', () => undefined)
    seen.certificates.push(String((session.socket as TLSSocket).getPeerCertificate().subject.CN))
  })
  tls.on('stream', (stream, headers) => {
    const key = /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1]
    stream.on('error', () => undefined)
    if (key === undefined || !admission.apiKeys.includes(key)) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': UNAUTHENTICATED, 'grpc-message': 'wrong API key' },
        { endStream: true },
      )
      return
    }
    seen.apiKeys.push(key)
    let trailers: IncomingHttpHeaders = {}
    const request = upstream.request({ ...headers, ':authority': temporal, ':scheme': 'http' })
    request.on('error', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
    request.on('response', (answer, flags) => {
      const ends = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
      if (!stream.destroyed) stream.respond(answer, ends ? { endStream: true } : { waitForTrailers: true })
    })
    request.on('trailers', (answer: IncomingHttpHeaders) => (trailers = answer))
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    stream.on('close', () => request.close(constants.NGHTTP2_CANCEL))
    stream.pipe(request)
    request.pipe(stream)
  })
  tls.listen(0, '127.0.0.1')
  await once(tls, 'listening')
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    address: `127.0.0.1:${(tls.address() as AddressInfo).port}`,
    admit(next: Admission): void {
      if (next.authorities.join() !== admission.authorities.join()) tls.setSecureContext({ ...server, ca: [...next.authorities] })
      admission = next
    },
    /** All connections are cut; who is admitted may come again. */
    drop,
    /** Waits until so many connections came with this certificate's common name. */
    connected: (name: string, count: number) =>
      eventually(
        `${count} connections of ${name}`,
        async () => seen.certificates.filter((certificate) => certificate === name).length >= count,
      ),
    /** Forgets who came. */
    forget(): void {
      seen.certificates = []
      seen.apiKeys = []
    },
    seen: () => seen,
    async close(): Promise<void> {
      const closed = once(tls, 'close')
      tls.close()
      drop()
      upstream.destroy()
      await closed
    },
  }
}
