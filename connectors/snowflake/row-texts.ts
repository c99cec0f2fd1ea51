import type { Readable } from 'node:stream'
import { ConnectorError } from '../errors.ts'
import type { Target } from './config.ts'
import { classifyFailure } from './errors.ts'
import { assertNotAborted } from './session.ts'

/** Lines are handed on by so many characters. */
const PIECE_CHARACTERS = 1 << 17

/**
 * The rows of the driver's stream, one text each, as the bytes of lines. Pulled by hand: an async iterator's promise per row costs as
 * much as the row. `counted` is how many there were. Throws what the stream's error means; `cancelled`; and `source` after silence, as the
 * driver swallows what goes wrong while it parses a chunk and then waits for ever (3.3.0).
 */
export class RowTexts {
  counted = 0
  readonly #stream: Readable
  readonly #signal: AbortSignal
  readonly #silenceMs: number
  readonly #target: Target
  #failure: Error | null = null
  #ended = false
  #wake: () => void = () => undefined

  constructor(stream: Readable, { signal, silenceMs, target }: { signal: AbortSignal; silenceMs: number; target: Target }) {
    this.#stream = stream
    this.#signal = signal
    this.#silenceMs = silenceMs
    this.#target = target
    stream.on('readable', () => this.#wake())
    stream.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    stream.on('error', (error) => {
      this.#failure = error
      this.#wake()
    })
  }

  async *pieces(): AsyncGenerator<Buffer> {
    let lines: string[] = []
    let characters = 0
    while (!this.#ended) {
      const row: unknown = this.#stream.read()
      if (row === null) {
        await this.#change()
        continue
      }
      const line = textOf(row)
      this.counted++
      characters += line.length + 1
      lines.push(line)
      if (characters < PIECE_CHARACTERS) continue
      yield joined(lines)
      lines = []
      characters = 0
    }
    if (lines.length > 0) yield joined(lines)
  }

  /** Ends the stream; what it still downloads is thrown away. */
  stop(): void {
    this.#stream.destroy()
  }

  async #change(): Promise<void> {
    const signal = this.#signal
    const came = await new Promise<'news' | 'silence'>((resolve) => {
      const settle = (what: 'news' | 'silence') => (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', this.#wake)
        resolve(what)
      }
      const timer = setTimeout(settle('silence'), this.#silenceMs)
      this.#wake = settle('news')
      signal.addEventListener('abort', this.#wake)
      if (signal.aborted || this.#ended || this.#failure !== null) this.#wake()
    })
    assertNotAborted(signal)
    if (this.#failure !== null) throw classifyFailure(this.#failure, { target: this.#target, phase: 'run' })
    if (came === 'silence')
      throw new ConnectorError(
        'source',
        `Snowflake at ${this.#target.address}: the connection was lost; no row came for ${this.#silenceMs / 1000} seconds`,
      )
  }
}

function textOf(row: unknown): string {
  const [text] = Array.isArray(row) ? (row as unknown[]) : []
  if (typeof text !== 'string') throw new ConnectorError('source', 'Snowflake sent a row that is no text')
  return text
}

function joined(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`)
}
