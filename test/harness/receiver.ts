import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** An HTTP receiver that keeps every request. `answer` decides the status; 0 leaves the request without an answer. */
export async function startReceiver(answer: (received: Received, nth: number) => number = () => 204) {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  const receiver = { answer }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString('utf8') }
      received.push(one)
      const status = receiver.answer(one, received.length)
      if (status > 0) response.writeHead(status).end()
      for (const look of waiting) look()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    /** Resolves when `enough` says so of what was received. */
    until(enough: (received: readonly Received[]) => boolean, what: string): Promise<void> {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!enough(received)) return
          clearTimeout(late)
          waiting.delete(look)
          resolve()
        }
        const late = setTimeout(
          () => reject(new Error(`never came: ${what}; received ${received.map(({ body }) => body).join('\n')}`)),
          60_000,
        )
        waiting.add(look)
        look()
      })
    },
    close(): Promise<void> {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  })
}
