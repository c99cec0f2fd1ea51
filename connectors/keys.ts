import { ConnectorError } from './errors.ts'

/**
 * Keys as bytes whose order is the warehouse's order, so that merge joins need one comparison: `Buffer.compare`, `bytea`
 * and the warehouse's ORDER BY agree. int64: 8 bytes big-endian, sign flipped. text: UTF-8 (ORDER BY … COLLATE "C").
 * In composite keys a text part is escaped (00 → 00 FF) and ended by 00 01, so no part's bytes run into the next.
 */
export type KeyPart = 'int64' | 'text'

const SIGN = 1n << 63n

export class KeyCodec {
  readonly parts: readonly KeyPart[]

  constructor(parts: readonly KeyPart[]) {
    this.parts = parts
  }

  /** Part of the baseline's identity: other parts mean other bytes. */
  get signature(): string {
    return this.parts.join(',')
  }

  encode(texts: readonly string[]): Buffer {
    if (texts.length !== this.parts.length)
      throw new ConnectorError('config', `a key of ${this.parts.length} columns was expected, ${texts.length} given`)
    const single = this.parts.length === 1
    return Buffer.concat(texts.map((text, i) => (this.parts[i] === 'int64' ? encodeInt64(text) : encodeText(text, single))))
  }

  decode(bytes: Buffer): string[] {
    if (this.parts.length === 1) return [this.parts[0] === 'int64' ? decodeInt64(bytes, 0) : bytes.toString('utf8')]
    const texts: string[] = []
    let at = 0
    for (const part of this.parts) {
      if (part === 'int64') {
        texts.push(decodeInt64(bytes, at))
        at += 8
        continue
      }
      let end = bytes.indexOf(0, at)
      // A zero byte of the text itself is followed by FF.
      while (end !== -1 && bytes[end + 1] === 0xff) end = bytes.indexOf(0, end + 2)
      if (end === -1 || bytes[end + 1] !== 1) throw new Error('key bytes end inside a text part')
      const escaped = bytes.subarray(at, end)
      const raw = escaped.includes(0) ? escaped.filter((_, i) => escaped[i - 1] !== 0) : escaped
      texts.push(Buffer.from(raw).toString('utf8'))
      at = end + 2
    }
    return texts
  }
}

const LOWEST = -(1n << 63n)
const HIGHEST = (1n << 63n) - 1n

function encodeInt64(text: string): Buffer {
  const value = /^-?\d+$/.test(text) ? BigInt(text) : null
  if (value === null || value < LOWEST || value > HIGHEST) throw new ConnectorError('config', 'the key is not an integer of 64 bits')
  const out = Buffer.allocUnsafe(8)
  out.writeBigUInt64BE(BigInt.asUintN(64, value + SIGN))
  return out
}

function decodeInt64(bytes: Buffer, at: number): string {
  return (bytes.readBigUInt64BE(at) - SIGN).toString()
}

function encodeText(text: string, bare: boolean): Buffer {
  const raw = Buffer.from(text, 'utf8')
  if (bare) return raw
  if (!raw.includes(0)) return Buffer.concat([raw, END])
  const out: number[] = []
  for (const byte of raw) {
    out.push(byte)
    if (byte === 0) out.push(0xff)
  }
  return Buffer.concat([Buffer.from(out), END])
}

const END = Buffer.from([0, 1])
