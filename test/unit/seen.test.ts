import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { BitSet, HashFilter } from '../../activities/plan/seen.ts'

const hashOf = (text: string) => createHash('sha256').update(text).digest().subarray(0, 16)

test('the filter never forgets a hash, so no shared match value is missed', () => {
  const filter = new HashFilter()
  assert.equal(filter.empty, true)
  for (let i = 0; i < 20_000; i++) filter.add(hashOf(`in ${i}`))
  assert.equal(filter.empty, false)
  for (let i = 0; i < 20_000; i++) assert.ok(filter.mayHave(hashOf(`in ${i}`)))
})

test('it takes few strangers for friends: 20,000 of 134 million slots are taken', () => {
  const filter = new HashFilter()
  for (let i = 0; i < 20_000; i++) filter.add(hashOf(`in ${i}`))
  let wrong = 0
  for (let i = 0; i < 20_000; i++) if (filter.mayHave(hashOf(`out ${i}`))) wrong++
  assert.ok(wrong <= 30, `${wrong} of 20,000`)
})

test('hashes that differ in any of the bits it looks at are told apart, the last slot included', () => {
  const filter = new HashFilter()
  const highest = new Uint8Array(16).fill(255)
  filter.add(highest)
  assert.ok(filter.mayHave(highest))
  for (const [byte, bit] of [
    [0, 128],
    [1, 1],
    [2, 128],
    [3, 1],
  ] as const) {
    const other = Uint8Array.from(highest)
    other[byte] = (other[byte] ?? 0) ^ bit
    assert.equal(filter.mayHave(other), false, `byte ${byte}`)
  }
})

test('the bit set is a set of numbers, growing as needed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat(200_000)), { maxLength: 100 }),
      fc.array(fc.nat(400_000), { maxLength: 20 }),
      (steps, asked) => {
        const bits = new BitSet()
        const model = new Set<number>()
        for (const [adds, index] of steps) {
          if (adds) bits.add(index)
          else bits.delete(index)
          if (adds) model.add(index)
          else model.delete(index)
        }
        for (const index of [...asked, ...steps.map(([, index]) => index)]) assert.equal(bits.has(index), model.has(index), String(index))
      },
    ),
  )
})
