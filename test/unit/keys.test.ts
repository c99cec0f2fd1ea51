import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ConnectorError } from '../../connectors/errors.ts'
import { KeyCodec, type KeyPart } from '../../connectors/keys.ts'

const int64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
/** Any text, zero bytes included: other warehouses than PostgreSQL store them. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: fc.constantFrom('\0', '\u0001', '\u00ff', 'a', '�', '𝄞'), maxLength: 5 }),
)

function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function compareParts(parts: readonly KeyPart[], a: readonly string[], b: readonly string[]): number {
  for (const [i, part] of parts.entries()) {
    const [left, right] = [a[i] ?? '', b[i] ?? '']
    const order = part === 'text' ? byteOrder(left, right) : BigInt(left) < BigInt(right) ? -1 : BigInt(left) > BigInt(right) ? 1 : 0
    if (order !== 0) return order
  }
  return 0
}

const pairs = fc.array(fc.constantFrom<KeyPart>('int64', 'text'), { minLength: 1, maxLength: 3 }).chain((parts) => {
  const key = fc.tuple(...parts.map((part) => (part === 'text' ? text : int64.map(String))))
  return fc.tuple(fc.constant(parts), key, key)
})

describe('key codec', () => {
  it('gives back what it encoded', () => {
    fc.assert(
      fc.property(pairs, ([parts, key]) => {
        const codec = new KeyCodec(parts)
        assert.deepEqual(codec.decode(codec.encode(key)), key)
      }),
      { numRuns: 1000 },
    )
  })

  it('bytes compare as the values do, part by part', () => {
    fc.assert(
      fc.property(pairs, ([parts, a, b]) => {
        const codec = new KeyCodec(parts)
        assert.equal(Math.sign(Buffer.compare(codec.encode(a), codec.encode(b))), Math.sign(compareParts(parts, a, b)))
      }),
      { numRuns: 1000 },
    )
  })

  it('a part never runs into the next', () => {
    const codec = new KeyCodec(['text', 'text'])
    const keys = [
      ['', 'ab'],
      ['a', 'b'],
      ['ab', ''],
      ['a\0', 'b'],
      ['a', '\0b'],
      ['a\u0001', 'b'],
    ].map((key) => codec.encode(key).toString('hex'))
    assert.equal(new Set(keys).size, keys.length)
  })

  it('writes down its layout', () => {
    assert.equal(new KeyCodec(['int64']).encode(['-1']).toString('hex'), '7fffffffffffffff')
    assert.equal(new KeyCodec(['int64']).encode(['0']).toString('hex'), '8000000000000000')
    assert.equal(new KeyCodec(['text']).encode(['a\0']).toString('hex'), '6100')
    assert.equal(new KeyCodec(['text', 'int64']).encode(['a\0', '1']).toString('hex'), '6100ff00018000000000000001')
    assert.equal(new KeyCodec(['text', 'int64']).signature, 'text,int64')
  })

  it('refuses what is no integer of 64 bits, without quoting it', () => {
    const codec = new KeyCodec(['int64'])
    for (const bad of ['', ' 5', '0x10', '1.0', 'private', '9223372036854775808', '-9223372036854775809', '1e3']) {
      assert.throws(
        () => codec.encode([bad]),
        (error) => error instanceof ConnectorError && error.kind === 'config' && error.message === 'the key is not an integer of 64 bits',
      )
    }
  })

  it('refuses a key of another width', () => {
    assert.throws(() => new KeyCodec(['text', 'text']).encode(['a']), ConnectorError)
    assert.throws(() => new KeyCodec(['text', 'int64']).decode(Buffer.from('61', 'hex')), /end inside a text part/)
  })
})
