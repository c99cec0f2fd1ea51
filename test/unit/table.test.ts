import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tableLines } from '../../server/cli/table.ts'

test('a table aligns its columns, numbers to the right, and keeps to its lines', () => {
  assert.deepEqual(
    tableLines(
      ['KEY', 'COUNT'],
      [
        ['a\nb\u001b[31m', 7],
        ['c', 1234567],
      ],
    ),
    ['KEY         COUNT', 'a b [31m        7', 'c         1234567'],
  )
})

// `changes --limit 200000` ended in "Maximum call stack size exceeded".
test('a table may be long', () => {
  assert.equal(
    tableLines(
      ['KEY'],
      Array.from({ length: 200_000 }, (_, i) => [i]),
    ).length,
    200_001,
  )
})
