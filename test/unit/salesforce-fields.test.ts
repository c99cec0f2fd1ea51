import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { ValueKind } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { foldMatch, holdsValue } from '../../connectors/salesforce/compare.ts'
import { readField } from '../../connectors/salesforce/describe.ts'
import { fieldEncoder } from '../../connectors/salesforce/fields.ts'
import { canonicalId } from '../../connectors/salesforce/ids.ts'
import { lookUpPaths, quoted } from '../../connectors/salesforce/soql.ts'
import { OBJECTS } from '../../connectors/salesforce/stand-in-seed.ts'
import { checkValue } from '../../connectors/salesforce/stand-in-values.ts'

const ACCOUNT = OBJECTS.find(({ name }) => name === 'Account')

function seed(name: string) {
  const found = ACCOUNT?.fields.find((each) => each.name === name)
  assert.ok(found, name)
  return found
}

function field(name: string) {
  const described = readField({ ...seed(name) })
  assert.ok(described)
  return described
}

/** What was encoded, as JSON text, or the code of the refusal with a `!`. */
function encode(name: string, kind: ValueKind, text: string): string {
  const encoded = fieldEncoder(field(name), kind)(text)
  if ('json' in encoded) return encoded.json
  assert.ok(text.length < 4 || !encoded.invalid.includes(text), 'the reason holds the value')
  return `!${encoded.code}`
}

describe('salesforce fields', () => {
  it('encodes by the field’s type, or says why not before a byte is sent', () => {
    const cases: [name: string, kind: ValueKind, text: string, wanted: string][] = [
      ['Name', 'text', 'Ada', '"Ada"'],
      ['Name', 'boolean', 'true', '"true"'],
      ['Name', 'timestamp', '2026-01-31T23:59:59.123456', '"2026-01-31T23:59:59.123456"'],
      ['Name', 'text', 'x'.repeat(256), '!STRING_TOO_LONG'],
      ['Name', 'text', ' ', 'null'],
      ['MRR__c', 'decimal', '12.50', '12.5'],
      ['MRR__c', 'decimal', '12.505', '!TOO_MANY_DECIMALS'],
      ['MRR__c', 'decimal', '1234567890123456', '1234567890123456'],
      ['MRR__c', 'decimal', '12345678901234567', '!NUMBER_OUTSIDE_VALID_RANGE'],
      ['MRR__c', 'float', '1e3', '1000'],
      ['MRR__c', 'float', 'NaN', '!INVALID_NUMBER'],
      ['MRR__c', 'text', '12 EUR', '!INVALID_NUMBER'],
      ['Number_Key__c', 'integer', '9007199254740993', '!NUMBER_OUTSIDE_VALID_RANGE'],
      ['Number_Key__c', 'integer', '9007199254740992', '9007199254740992'],
      ['Score__c', 'float', '0.30000000000000004', '!TOO_MANY_DECIMALS'],
      ['Seats__c', 'integer', '2147483647', '2147483647'],
      ['Seats__c', 'integer', '2147483648', '!NUMBER_OUTSIDE_VALID_RANGE'],
      ['Seats__c', 'decimal', '1.5', '!INVALID_NUMBER'],
      ['Active__c', 'boolean', 'false', 'false'],
      ['Active__c', 'text', 'TRUE', 'true'],
      ['Active__c', 'text', 'yes', '!INVALID_BOOLEAN'],
      ['Renewal__c', 'date', '1700-01-01', '"1700-01-01"'],
      ['Renewal__c', 'date', '1699-12-31', '!INVALID_DATE'],
      ['Renewal__c', 'date', 'infinity', '!INVALID_DATE'],
      ['Renewal__c', 'timestamptz', '2026-01-31T00:00:00.000000Z', '"2026-01-31"'],
      ['Renewal__c', 'timestamptz', '2026-01-31T00:00:00.000001Z', '!INVALID_DATE'],
      ['Customer_Since__c', 'timestamptz', '2026-01-31T23:59:59.999999Z', '"2026-01-31T23:59:59Z"'],
      ['Customer_Since__c', 'timestamptz', '1969-12-31T23:59:59.500000Z', '"1969-12-31T23:59:59Z"'],
      ['Customer_Since__c', 'text', '2026-01-31 10:00:00+02', '"2026-01-31T08:00:00Z"'],
      ['Customer_Since__c', 'text', 'yesterday', '!INVALID_DATE'],
      ['Call_At__c', 'other', '08:30', '"08:30:00.000Z"'],
      ['Call_At__c', 'other', '23:59:59.987654', '"23:59:59.987Z"'],
      ['Call_At__c', 'other', '24:00', '!INVALID_TIME'],
      ['Plan__c', 'text', 'pro', '"pro"'],
      ['Plan__c', 'text', 'Pro', '!INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST'],
      ['Industry', 'text', 'of its own', '"of its own"'],
      ['Interests__c', 'array', '["music","art"]', '"music;art"'],
      ['Interests__c', 'array', '[]', 'null'],
      ['Interests__c', 'array', '["a;b"]', '!INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST'],
      ['Interests__c', 'text', 'art;dance', '!INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST'],
      ['email_field__c', 'text', ' Ada@Example.com ', '"Ada@Example.com"'],
      ['email_field__c', 'text', 'nobody', '!INVALID_EMAIL_ADDRESS'],
      ['ParentId', 'text', '001000000000001', '"001000000000001AAA"'],
      ['ParentId', 'text', '001', '!MALFORMED_ID'],
      ['ParentId', 'text', '001000000000001AAB', '!MALFORMED_ID'],
    ]
    for (const [name, kind, text, wanted] of cases) assert.equal(encode(name, kind, text), wanted, `${name} ${kind} ${text.slice(0, 40)}`)
  })

  it('a kind of column that can never fit is a wrong configuration', () => {
    const never: [string, ValueKind][] = [
      ['MRR__c', 'json'],
      ['MRR__c', 'boolean'],
      ['Active__c', 'integer'],
      ['Renewal__c', 'integer'],
      ['Plan__c', 'array'],
      ['ParentId', 'integer'],
    ]
    for (const [name, kind] of never) {
      assert.throws(
        () => fieldEncoder(field(name), kind),
        (error: unknown) =>
          error instanceof ConnectorError && error.kind === 'config' && error.message.includes(`${name}: a ${kind} column`),
      )
    }
  })

  it('describes what may be written, what is required and what identifies', () => {
    assert.deepEqual(
      [field('Name').requiredOnCreate, field('OwnerId').requiredOnCreate, field('Active__c').requiredOnCreate],
      [true, false, false],
    )
    assert.deepEqual([field('Formula__c').writable, field('Id').writable, field('BillingAddress').writable], [false, false, false])
    const identifying = ['External_Id__c', 'Legacy_Id__c', 'Tax_Number__c', 'Id', 'Name'].map((name) => [
      field(name).unique,
      field(name).enforcedUnique,
    ])
    assert.deepEqual(identifying, [
      [true, true],
      [true, false],
      [true, true],
      [true, true],
      [false, false],
    ])
    // An open picklist takes any text.
    assert.deepEqual([field('Plan__c').options?.length, field('Industry').options], [3, undefined])
  })

  const instant = fc.date({ min: new Date('1700-01-01T00:00:00Z'), max: new Date('4000-12-31T00:00:00Z'), noInvalidDate: true })
  const sources: [name: string, kind: ValueKind, texts: fc.Arbitrary<string>][] = [
    ['BillingCity', 'text', fc.string({ unit: 'binary', maxLength: 20 })],
    ['Notes__c', 'text', fc.string({ unit: fc.constantFrom('a', ' ', '\r', '\n', '"', "'", '\\'), maxLength: 20 })],
    [
      'Score__c',
      'decimal',
      fc.tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.nat({ max: 999_999 })).map(([a, b]) => `${a}.${b}`),
    ],
    ['Seats__c', 'integer', fc.integer().map(String)],
    ['Active__c', 'text', fc.constantFrom('true', 'FALSE', ' True ')],
    ['Renewal__c', 'date', instant.map((date) => date.toISOString().slice(0, 10))],
    ['Customer_Since__c', 'timestamptz', instant.map((date) => date.toISOString())],
    ['Plan__c', 'text', fc.constantFrom('free', 'pro', 'enterprise')],
    ['Interests__c', 'array', fc.shuffledSubarray(['art', 'music', 'sport']).map((some) => JSON.stringify(some))],
    ['email_field__c', 'text', fc.emailAddress({ size: 'small' })],
  ]
  for (const [name, kind, texts] of sources) {
    it(`what is encoded for ${name} from ${kind} is taken by the stand-in, and read back as wanted`, () => {
      fc.assert(
        fc.property(texts, (text) => {
          const encoded = fieldEncoder(field(name), kind)(text)
          if ('invalid' in encoded) return assert.equal(name, 'email_field__c', encoded.invalid)
          const wanted = JSON.parse(encoded.json) as string | number | boolean | null
          const checked = checkValue(seed(name), wanted)
          assert.ok('value' in checked, 'refused by the stand-in')
          assert.ok(holdsValue(field(name).type, checked.value, wanted), `${JSON.stringify(checked.value)} ${JSON.stringify(wanted)}`)
        }),
      )
    })
  }
})

describe('salesforce comparison', () => {
  it('compares as Salesforce normalises, and tells real differences', () => {
    const same: [type: string, stored: unknown, wanted: unknown][] = [
      ['double', 42, 42],
      ['double', '9.12260031E8', 912_260_031],
      ['currency', 12.5, '12.50'],
      ['datetime', '2026-01-31T23:59:59.000+0000', '2026-01-31T23:59:59Z'],
      ['date', '2026-01-31', '2026-01-31'],
      ['boolean', false, null],
      ['multipicklist', 'b;a', 'a;b'],
      ['textarea', 'a\r\nb', 'a\nb'],
      ['string', 'Ada', ' Ada '],
      ['reference', '001000000000001AAA', '001000000000001'],
      ['string', null, ''],
      ['email', 'ada@example.com', 'Ada@Example.com'],
    ]
    for (const [type, stored, wanted] of same) assert.equal(holdsValue(type, stored, wanted), true, `${type} ${String(stored)}`)
    const different: [string, unknown, unknown][] = [
      ['string', 'Ada', 'ada'],
      ['string', '007', '7'],
      ['double', 0, null],
      ['boolean', null, true],
      ['datetime', '2026-01-31T23:59:58.000+0000', '2026-01-31T23:59:59Z'],
      ['multipicklist', 'a;b;c', 'a;b'],
      // Answers show where the bytes can be fetched, not the bytes.
      ['base64', '/services/data/v66.0/sobjects/Attachment/1/Body', 'YQ=='],
    ]
    for (const [type, stored, wanted] of different) assert.equal(holdsValue(type, stored, wanted), false, `${type} ${String(stored)}`)
  })

  it('match values fold as the field compares them', () => {
    const text = field('External_Id__c')
    assert.equal(foldMatch(' ABC ', text), foldMatch('abc', text))
    assert.notEqual(foldMatch('ABC', field('Case_Key__c')), foldMatch('abc', field('Case_Key__c')))
    const numbers = ['42', '42.0', '4.2E1', ' 42 '].map((value) => foldMatch(value, field('Number_Key__c')))
    assert.deepEqual(new Set(numbers), new Set(['42']))
    assert.equal(foldMatch('001000000000001', field('Id')), '001000000000001AAA')
    // An id's fifteen characters differ by case.
    assert.notEqual(foldMatch('00100000000000a', field('Id')), foldMatch('00100000000000A', field('Id')))
  })

  it('ids: the checksum is the one that Salesforce prints', () => {
    // From the examples of Salesforce's API guides.
    for (const id of ['001D000000IqhSLIAZ', '0035000000km1ovAAA', '00D50000000IZ3ZEAW']) assert.equal(canonicalId(id.slice(0, 15)), id)
    assert.equal(canonicalId('001D000000IqhSLIAz'), '001D000000IqhSLIAZ')
    assert.equal(canonicalId('001D000000IqhSLIAA'), null)
    assert.equal(canonicalId('nonsense'), null)
  })
})

describe('salesforce queries', () => {
  it('text in a query is escaped', () => {
    assert.equal(quoted(`O'Neil \\ "x"\n`), `'O\\'Neil \\\\ "x"\\n'`)
  })

  it('as many queries as URLs allow, no value lost and none twice', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }), { maxLength: 200 }), (values) => {
        const paths = lookUpPaths('Account', ['Id', 'Name'], 'External_Id__c', values.map(quoted))
        for (const path of paths) assert.ok(path.length <= 15_000)
        const lists = paths.map((path) =>
          new URL(path, 'http://localhost').searchParams
            .get('q')
            ?.replace(/^.* IN \(/s, '')
            .slice(0, -1),
        )
        assert.equal(lists.join(','), values.map(quoted).join(','))
      }),
      { numRuns: 30 },
    )
  })
})
