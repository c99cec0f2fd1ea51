import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isPublicAddress } from '../../connectors/http-guard.ts'
import { MAX_RETRY_AFTER_MS, retryAfterMs } from '../../connectors/http-errors.ts'

const NOW = Date.parse('2026-01-31T12:00:00Z')

describe('retryAfterMs', () => {
  it('reads seconds and dates, caps both, ignores the rest', () => {
    const cases: [string | undefined, number | null][] = [
      ['0', 0],
      ['7', 7000],
      [' 1.5 ', 1500],
      ['999999999', MAX_RETRY_AFTER_MS],
      ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
      ['Saturday, 31-Jan-26 12:00:30 GMT', 30_000],
      ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
      ['Fri, 31 Jan 2036 11:00:00 GMT', MAX_RETRY_AFTER_MS],
      ['-5', null],
      ['soon', null],
      ['', null],
      [undefined, null],
    ]
    for (const [header, wanted] of cases) assert.equal(retryAfterMs(header, NOW), wanted, header)
  })

  it('never leaves its range', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
          fc.nat().map(String),
        ),
        (header) => {
          const wait = retryAfterMs(header, NOW)
          assert.ok(wait === null || (wait >= 0 && wait <= MAX_RETRY_AFTER_MS))
        },
      ),
    )
  })
})

describe('isPublicAddress', () => {
  const inside = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
  ]
  const inside6 = [
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::a00:1',
    '2002:7f00:1::',
    'ff02::1',
  ]
  for (const address of [...inside, ...inside6, 'no address']) it(`refuses ${address}`, () => assert.equal(isPublicAddress(address), false))
  for (const address of ['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8']) {
    it(`takes ${address}`, () => assert.equal(isPublicAddress(address), true))
  }
})
