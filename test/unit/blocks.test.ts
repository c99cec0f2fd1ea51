import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { RowBlock } from '../../connectors/source-contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { KeyCodec, type KeyPart } from '../../connectors/keys.ts'
import { BlockBuilder } from '../../connectors/blocks.ts'

interface Row {
  readonly key: string | null
  readonly bytes: string
}

/** Copies: a block is valid until the next one only. */
function rowsOf(block: RowBlock | null): Row[] {
  if (block === null) return []
  return Array.from({ length: block.length }, (_, i) => ({
    key: block.nullKeys?.has(i) === true ? null : block.keys.toString('hex', block.keyOffsets[i], block.keyOffsets[i + 1]),
    bytes: block.rows.toString('utf8', block.rowOffsets[i], block.rowOffsets[i + 1]),
  }))
}

function readAll(parts: readonly KeyPart[], chunks: readonly Buffer[]): { rows: Row[]; unfinished: boolean } {
  const builder = new BlockBuilder(parts)
  const rows = chunks.flatMap((chunk) => rowsOf(builder.push(chunk)))
  rows.push(...rowsOf(builder.rest()))
  return { rows, unfinished: builder.unfinished }
}

/** What COPY prints, written by another hand: one escape after the other. */
function copyField(value: string | null): string {
  if (value === null) return '\\N'
  const pairs: [string, string][] = [
    ['\\', '\\\\'],
    ['\b', '\\b'],
    ['\f', '\\f'],
    ['\n', '\\n'],
    ['\r', '\\r'],
    ['\t', '\\t'],
    ['\v', '\\v'],
  ]
  return pairs.reduce((text, [raw, escaped]) => text.replaceAll(raw, escaped), value)
}

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('\\', 'N', '\n', '\t', 'n', 'é', '\0', '\u0001'), maxLength: 6 }),
)
const digits = fc.oneof(
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  fc.constantFrom(...[15n, 16n, 18n].flatMap((power) => [10n ** power, 10n ** power - 1n, -(10n ** power), 1n - 10n ** power])),
  fc.constantFrom(0n, -1n, 1n << 32n, -(1n << 32n), (1n << 32n) - 1n, 1n << 53n, (1n << 63n) - 1n, -(1n << 63n)),
)
const table = fc.array(fc.constantFrom<KeyPart>('int64', 'text'), { minLength: 1, maxLength: 3 }).chain((parts) => {
  const cells = parts.map((part) => fc.option(part === 'text' ? text : digits.map(String), { freq: 8 }))
  return fc.record({
    parts: fc.constant(parts),
    rows: fc.array(fc.tuple(fc.tuple(...cells), fc.option(text)), { maxLength: 20 }),
    cut: fc.integer({ min: 1, max: 40 }),
  })
})

describe('rows out of COPY bytes', () => {
  it('keys are what KeyCodec makes of the values, rows are the lines, wherever the chunks end', () => {
    fc.assert(
      fc.property(table, ({ parts, rows, cut }) => {
        const codec = new KeyCodec(parts)
        const expected = rows.map(([key, other]) => {
          const values = key.filter((value) => value !== null)
          const whole = values.length === parts.length
          return { key: whole ? codec.encode(values).toString('hex') : null, bytes: `${[...key, other].map(copyField).join('\t')}\n` }
        })
        const bytes = Buffer.from(expected.map((row) => row.bytes).join(''))
        const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) => bytes.subarray(i * cut, (i + 1) * cut))
        assert.deepEqual(readAll(parts, chunks), { rows: expected, unfinished: false })
      }),
      { numRuns: 500 },
    )
  })

  it('many blocks, the buffers grown and used again', () => {
    const count = 60_000
    const lines = Array.from({ length: count }, (_, i) => `${i - 30_000}\tname ${i}\n`)
    const bytes = Buffer.from(lines.join(''))
    const chunks = Array.from({ length: Math.ceil(bytes.length / 9973) }, (_, i) => bytes.subarray(i * 9973, (i + 1) * 9973))
    const { rows } = readAll(['int64', 'text'], chunks)
    const codec = new KeyCodec(['int64', 'text'])
    assert.equal(rows.length, count)
    for (const [i, row] of rows.entries()) assert.equal(row.key, codec.encode([String(i - 30_000), `name ${i}`]).toString('hex'))
  })

  it('a row longer than any block', () => {
    const long = 'x'.repeat(1_000_000)
    const bytes = Buffer.from(`${long}\t1\nb\t2\n`)
    const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) => bytes.subarray(i * 65_536, (i + 1) * 65_536))
    const { rows } = readAll(['text'], chunks)
    assert.deepEqual(
      rows.map(({ bytes: row }) => row.length),
      [1_000_003, 4],
    )
  })

  it('a row without its end is told apart', () => {
    assert.deepEqual(readAll(['int64'], [Buffer.from('1\n2')]), { rows: [{ key: '8000000000000001', bytes: '1\n' }], unfinished: true })
    assert.deepEqual(readAll(['int64'], []), { rows: [], unfinished: false })
  })

  it('an integer key that is none', () => {
    assert.throws(() => readAll(['int64'], [Buffer.from('1.5\n')]), ConnectorError)
    for (const digits of ['9223372036854775808', '-9223372036854775809', '18446744073709551616', '1'.repeat(38)])
      assert.throws(() => readAll(['int64'], [Buffer.from(`${digits}\n`)]), /64 bits/, digits)
  })
})
