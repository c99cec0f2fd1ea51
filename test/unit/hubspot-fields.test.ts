import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { FieldDescription, ValueKind } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { foldMatch, holdsValue } from '../../connectors/hubspot/compare.ts'
import { plainDecimal } from '../../connectors/decimal.ts'
import { describeProperty } from '../../connectors/hubspot/describe.ts'
import { fieldEncoder } from '../../connectors/hubspot/fields.ts'
import { standardObject } from '../../connectors/hubspot/objects.ts'
import { checkValue } from '../../connectors/hubspot/stand-in-properties.ts'
import { seedProperties } from '../../connectors/hubspot/stand-in-seed.ts'

const CONTACTS = seedProperties().get('contacts') ?? new Map<string, never>()

function field(name: string): FieldDescription {
  const property = CONTACTS.get(name)
  const contacts = standardObject('contacts')
  assert.ok(property && contacts)
  const described = describeProperty({ ...property }, contacts)
  assert.ok(described)
  return described
}

/** What was encoded, or the code of the refusal with a `!`. */
function encode(name: string, kind: ValueKind, text: string): string {
  const encoded = fieldEncoder(field(name), kind)(text)
  if ('json' in encoded) return String(JSON.parse(encoded.json))
  assert.ok(text.length < 4 || !encoded.invalid.includes(text), 'the reason holds the value')
  return `!${encoded.code}`
}

describe('hubspot fields', () => {
  it('encodes by the property’s type, or says why not before a byte is sent', () => {
    const cases: [name: string, kind: ValueKind, text: string, wanted: string][] = [
      ['firstname', 'text', 'Ada', 'Ada'],
      ['firstname', 'boolean', 'true', 'true'],
      ['firstname', 'timestamp', '2026-01-31T23:59:59.123456', '2026-01-31T23:59:59.123456'],
      ['firstname', 'json', '{"a":1.50}', '{"a":1.50}'],
      ['notes', 'text', 'x'.repeat(65_536), 'x'.repeat(65_536)],
      ['notes', 'text', 'x'.repeat(65_537), '!MAX_LENGTH'],
      ['email', 'text', ' Ada@Example.com ', 'Ada@Example.com'],
      ['email', 'text', 'straße+x@exämple.co.uk', 'straße+x@exämple.co.uk'],
      ['email', 'text', 'nobody', '!INVALID_EMAIL'],
      ['email', 'text', 'a@b', '!INVALID_EMAIL'],
      ['email', 'text', 'a..b@c.de', '!INVALID_EMAIL'],
      ['email', 'text', 'a b@c.de', '!INVALID_EMAIL'],
      ['email', 'text', 'a@b@c.de', '!INVALID_EMAIL'],
      ['mrr', 'decimal', '9007199254740993.10', '9007199254740993.10'],
      ['mrr', 'float', '1.5e-7', '0.00000015'],
      ['mrr', 'float', '-1E+21', '-1000000000000000000000'],
      ['mrr', 'float', 'NaN', '!INVALID_NUMBER'],
      ['mrr', 'float', '-Infinity', '!INVALID_NUMBER'],
      ['mrr', 'text', '12 EUR', '!INVALID_NUMBER'],
      ['mrr', 'text', '0x10', '!INVALID_NUMBER'],
      ['active', 'boolean', 'false', 'false'],
      ['active', 'text', 'TRUE', 'true'],
      ['active', 'text', 'yes', '!INVALID_BOOLEAN'],
      ['birthday', 'date', '2024-02-29', '2024-02-29'],
      ['birthday', 'text', '2026-02-29', '!INVALID_DATE'],
      ['birthday', 'date', 'infinity', '!INVALID_DATE'],
      ['birthday', 'timestamptz', '2026-01-31T00:00:00.000000Z', '2026-01-31'],
      ['birthday', 'timestamptz', '2026-01-31T00:00:00.000001Z', '!INVALID_DATE'],
      ['birthday', 'timestamptz', '2026-01-31T10:00:00Z', '!INVALID_DATE'],
      ['customer_since', 'timestamptz', '2026-01-31T23:59:59.999999Z', '2026-01-31T23:59:59.999Z'],
      ['customer_since', 'timestamp', '2026-01-31T23:59:59', '2026-01-31T23:59:59.000Z'],
      ['customer_since', 'date', '2026-01-31', '2026-01-31T00:00:00.000Z'],
      ['customer_since', 'text', '2026-01-31 10:00:00+02', '2026-01-31T08:00:00.000Z'],
      ['customer_since', 'text', 'yesterday', '!INVALID_DATE'],
      ['customer_since', 'text', '0000-01-01T00:00:00+14:00', '!INVALID_DATE'],
      ['plan', 'text', 'pro', 'pro'],
      ['plan', 'text', 'Pro', '!INVALID_OPTION'],
      ['plan', 'text', 'pro;free', '!INVALID_OPTION'],
      ['interests', 'text', 'art;music', 'art;music'],
      ['interests', 'text', ';art', '!INVALID_OPTION'],
      ['interests', 'text', 'art;dance', '!INVALID_OPTION'],
      ['interests', 'array', '["music","art"]', 'music;art'],
      ['interests', 'array', '[["music"]]', '!INVALID_OPTION'],
      ['interests', 'array', '["a;b"]', '!INVALID_OPTION'],
      ['hubspot_owner_id', 'integer', '12345', '12345'],
      ['plan', 'text', '', ''],
      ['mrr', 'text', '', ''],
    ]
    for (const [name, kind, text, wanted] of cases) assert.equal(encode(name, kind, text), wanted, `${name} ${kind} ${text.slice(0, 40)}`)
  })

  it('a kind of column that can never fit is a wrong configuration', () => {
    const never: [string, ValueKind][] = [
      ['mrr', 'json'],
      ['mrr', 'array'],
      ['mrr', 'bytes'],
      ['mrr', 'boolean'],
      ['active', 'integer'],
      ['birthday', 'integer'],
      ['customer_since', 'boolean'],
      ['plan', 'array'],
      ['email', 'integer'],
      ['mobile', 'json'],
    ]
    for (const [name, kind] of never) {
      assert.throws(
        () => fieldEncoder(field(name), kind),
        (error: unknown) =>
          error instanceof ConnectorError &&
          error.kind === 'config' &&
          error.message.includes(name) &&
          error.message.includes('cast it in the model'),
      )
    }
  })

  it('describes what can be written, what is unique and what the options are', () => {
    assert.deepEqual(
      [field('email').unique, field('external_id').unique, field('firstname').unique, field('hs_object_id').unique],
      [true, true, false, true],
    )
    assert.deepEqual(
      [field('email').writable, field('hs_object_id').writable, field('hs_full_name_or_email').writable],
      [true, false, false],
    )
    assert.deepEqual(field('plan').options, ['free', 'pro', 'enterprise'])
    assert.equal(field('hubspot_owner_id').options, undefined)
    assert.equal(field('notes').maxLength, 65_536)
  })

  const decimal = fc
    .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.nat({ max: 12 }), fc.integer({ min: -20, max: 20 }))
    .map(([digits, scale, exponent]) => {
      const text = digits
        .toString()
        .replace('-', '')
        .padStart(scale + 1, '0')
      const body = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`
      return `${digits < 0n ? '-' : ''}${body}${exponent === 0 ? '' : `e${exponent}`}`
    })
  const instant = fc.date({ min: new Date('0100-01-01T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
  const micros = fc
    .tuple(instant, fc.nat({ max: 999 }))
    .map(([date, fine]) => date.toISOString().replace('Z', `${String(fine).padStart(3, '0')}Z`))

  const sources: [name: string, kind: ValueKind, texts: fc.Arbitrary<string>][] = [
    ['firstname', 'text', fc.string({ unit: 'binary', maxLength: 40 })],
    ['mrr', 'decimal', decimal],
    ['active', 'text', fc.constantFrom('true', 'FALSE', ' True ')],
    ['birthday', 'date', instant.map((date) => date.toISOString().slice(0, 10))],
    ['customer_since', 'timestamptz', micros],
    ['customer_since', 'timestamp', micros.map((text) => text.slice(0, -1))],
    ['plan', 'text', fc.constantFrom('free', 'pro', 'enterprise')],
    [
      'interests',
      'array',
      fc.subarray(['art', 'music', 'sport']).chain((options) => fc.shuffledSubarray(options).map((some) => JSON.stringify(some))),
    ],
    ['email', 'text', fc.emailAddress()],
    ['mobile', 'text', fc.string({ maxLength: 20 })],
  ]
  for (const [name, kind, texts] of sources) {
    it(`what is encoded for ${name} from ${kind} is taken by the stand-in, and read back as wanted`, () => {
      fc.assert(
        fc.property(texts, (text) => {
          const encoded = fieldEncoder(field(name), kind)(text)
          if ('invalid' in encoded) return assert.equal(name, 'email', encoded.invalid)
          const wanted = String(JSON.parse(encoded.json))
          const checked = checkValue(CONTACTS.get(name), name, wanted, '')
          assert.ok('value' in checked, 'refused by the stand-in')
          assert.ok(holdsValue(field(name).type, checked.value, wanted))
        }),
      )
    })
  }
})

describe('hubspot comparison', () => {
  it('compares as HubSpot normalises, and tells real differences', () => {
    const same: [type: string, stored: string | null | undefined, wanted: string][] = [
      ['number', '1.0', '1'],
      ['number', '1000', '1e3'],
      ['number', '-0', '0'],
      ['datetime', '1769903999123', '2026-01-31T23:59:59.123Z'],
      ['datetime', '2026-01-31T23:59:59.123Z', '1769903999123'],
      ['date', '1769817600000', '2026-01-31'],
      ['bool', 'TRUE', 'true'],
      ['enumeration[]', 'b;a', 'a;b'],
      ['email', 'ada@example.com', 'Ada@Example.com'],
      ['string', null, ''],
      ['number', undefined, ''],
    ]
    for (const [type, stored, wanted] of same) assert.equal(holdsValue(type, stored, wanted), true, `${type} ${stored} ${wanted}`)
    const different: [string, string | null, string][] = [
      ['string', '007', '7'],
      ['string', 'Ada', 'ada'],
      ['number', '9007199254740993', '9007199254740992'],
      ['number', '', '0'],
      ['datetime', '2026-01-31T23:59:59.124Z', '2026-01-31T23:59:59.123Z'],
      ['enumeration', 'Pro', 'pro'],
      ['enumeration[]', 'a;b;c', 'a;b'],
      ['bool', '', 'false'],
      ['', '1.0', '1'],
    ]
    for (const [type, stored, wanted] of different) assert.equal(holdsValue(type, stored, wanted), false, `${type} ${stored} ${wanted}`)
  })

  it('numbers are equal exactly when their plain digits are', () => {
    const scaled = fc.tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat({ max: 15 }))
    fc.assert(
      fc.property(scaled, scaled, ([a, i], [b, j]) => {
        const equal = a * 10n ** BigInt(j) === b * 10n ** BigInt(i)
        assert.equal(plainDecimal(`${a}e-${i}`) === plainDecimal(`${b}E-${j}`), equal)
        assert.equal(plainDecimal(`${a}e-${i}`), plainDecimal(`${a}000e-${i + 3}`))
      }),
    )
    assert.equal(plainDecimal('1e999'), null)
    assert.equal(plainDecimal('.'), null)
    assert.equal(plainDecimal('-0.00'), '0')
  })

  it('folding never tells apart what HubSpot holds for one', () => {
    fc.assert(fc.property(fc.emailAddress(), (email) => assert.equal(foldMatch(` ${email.toUpperCase()}`), foldMatch(email))))
  })
})
