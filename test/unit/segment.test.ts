import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FINGERPRINT_BYTES, REMOVED, SegmentCursor, SegmentWriter, subset, unpack, type Entry } from '../../state/segment.ts'

const fingerprint = fc.uint8Array({ minLength: FINGERPRINT_BYTES, maxLength: FINGERPRINT_BYTES }).map((bytes) => Buffer.from(bytes))
const key = fc.uint8Array({ minLength: 0, maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const match = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replace(/[\ud800-\udfff]/g, '?'))
const entries = fc
  .uniqueArray(fc.record({ key, fingerprint, match }), { selector: (entry) => entry.key.toString('hex'), maxLength: 200 })
  .map((all) => all.sort((a, b) => a.key.compare(b.key)))

function pack(all: readonly Entry[], hasMatch: boolean) {
  const writer = new SegmentWriter(hasMatch)
  for (const entry of all) writer.add(entry.key, entry.fingerprint, entry.match)
  return writer.take()
}

/** What is left of an entry in a segment with or without match values; buffers as hex, so that slices compare. */
const seen = (all: readonly Entry[], hasMatch: boolean) =>
  all.map((e) => [e.key.toString('hex'), e.fingerprint.toString('hex'), hasMatch ? e.match : null])

test('what is packed comes out again: keys, fingerprints, match values, size, first and last key', () => {
  fc.assert(
    fc.property(entries, fc.boolean(), (all, hasMatch) => {
      const packed = pack(all, hasMatch)
      if (all.length === 0) return assert.equal(packed, null)
      assert.ok(packed)
      assert.deepEqual(seen(unpack(packed.entries), hasMatch), seen(all, hasMatch))
      assert.equal(packed.size, all.length)
      assert.deepEqual([packed.firstKey, packed.lastKey], [all[0]?.key, all.at(-1)?.key])
    }),
  )
})

test('a subset holds exactly the entries at the kept positions, with its own first and last key', () => {
  fc.assert(
    fc.property(entries, fc.boolean(), fc.infiniteStream(fc.boolean()), (all, hasMatch, coin) => {
      const packed = pack(all, hasMatch)
      if (!packed) return
      const kept = new Set(all.flatMap((_, index) => (coin.next().value === true ? [index] : [])))
      const left = all.filter((_, index) => kept.has(index))
      const part = subset(packed.entries, (index) => kept.has(index))
      assert.deepEqual(part && seen(unpack(part.entries), hasMatch), left.length === 0 ? null : seen(left, hasMatch))
      assert.deepEqual(part?.firstKey, left[0]?.key)
      assert.deepEqual(part?.lastKey, left.at(-1)?.key)
    }),
  )
})

test('a taken segment does not change when the writer goes on, and the next one starts clean', () => {
  const writer = new SegmentWriter(true)
  writer.add(Buffer.from('a'), Buffer.alloc(16, 1), 'one')
  const first = writer.take()
  writer.add(Buffer.from('b'), Buffer.alloc(16, 2), 'two')
  const second = writer.take()
  assert.deepEqual(seen(unpack(first?.entries ?? Buffer.alloc(0)), true), [['61', '01'.repeat(16), 'one']])
  assert.deepEqual(seen(unpack(second?.entries ?? Buffer.alloc(0)), true), [['62', '02'.repeat(16), 'two']])
  assert.equal(writer.take(), null)
})

test('a key given as a slice of a buffer that is used again is kept as it was', () => {
  const shared = Buffer.from('first')
  const writer = new SegmentWriter(false)
  writer.add(shared, Buffer.alloc(16, 1), null)
  shared.write('later')
  const packed = writer.take()
  assert.ok(packed)
  assert.deepEqual(packed.firstKey.toString(), 'first')
  assert.deepEqual(unpack(packed.entries)[0]?.key.toString(), 'first')
})

test('only sixteen zero bytes mean that the removal was acknowledged', () => {
  const almost = Buffer.from(REMOVED)
  almost[15] = 1
  const packed = pack(
    [
      { key: Buffer.from('a'), fingerprint: REMOVED, match: null },
      { key: Buffer.from('b'), fingerprint: almost, match: null },
    ],
    false,
  )
  const cursor = new SegmentCursor(packed?.entries ?? Buffer.alloc(0))
  const removed: boolean[] = []
  while (cursor.next()) removed.push(cursor.removed)
  assert.deepEqual(removed, [true, false])
})

test('a key or match value that its length field cannot hold is refused, the longest that fits is not', () => {
  const longest = Buffer.alloc(0xffff, 7)
  const packed = pack([{ key: longest, fingerprint: Buffer.alloc(16, 1), match: 'x'.repeat(0xffff) }], true)
  assert.equal(unpack(packed?.entries ?? Buffer.alloc(0))[0]?.match?.length, 0xffff)
  assert.throws(() => pack([{ key: Buffer.alloc(0x10000), fingerprint: REMOVED, match: null }], false), RangeError)
  assert.throws(() => pack([{ key: Buffer.alloc(1), fingerprint: REMOVED, match: 'ä'.repeat(0x8000) }], true), RangeError)
})

test('a record with an 8-byte key takes 26 bytes', () => {
  const writer = new SegmentWriter(false)
  for (let i = 0; i < 1000; i++) {
    const id = Buffer.alloc(8)
    id.writeUInt32BE(i, 4)
    writer.add(id, Buffer.alloc(16, 1), null)
  }
  assert.equal(writer.sizeBytes, 1 + 1000 * 26)
})
