import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parse, stringify } from 'lossless-json'
import type { ValueKind } from '../../connectors/contract.ts'
import { jsonEncoder } from '../../connectors/json-values.ts'

function encode(kind: ValueKind, text: string, numbers: 'json' | 'text' = 'json'): string {
  const encoded = jsonEncoder(kind, numbers)(text)
  return 'json' in encoded ? encoded.json : `invalid: ${encoded.code}`
}

const digits = fc.stringMatching(/^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?$/)

describe('jsonEncoder', () => {
  it('numbers keep every digit and are JSON', () => {
    fc.assert(
      fc.property(digits, (text) => {
        assert.equal(encode('decimal', text), text)
        assert.equal(stringify(parse(encode('decimal', text))), text)
        assert.equal(JSON.parse(encode('decimal', text, 'text')), text)
      }),
    )
  })

  it('whatever else a number column holds becomes a JSON number or is invalid', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[+-]?[0-9.]{0,6}(e[0-9+-]{0,3})?$/)), (text) => {
        const json = encode('float', text)
        if (!json.startsWith('invalid')) assert.equal(JSON.parse(json), Number(text))
      }),
    )
    const cases: [string, string][] = [
      ['+5', '5'],
      ['007', '7'],
      ['.5', '0.5'],
      ['-.50', '-0.50'],
      ['5.', '5'],
      ['000', '0'],
      ['NaN', 'invalid: not_finite'],
      ['Infinity', 'invalid: not_finite'],
      ['-inf', 'invalid: not_finite'],
      ['', 'invalid: not_a_number'],
      ['.', 'invalid: not_a_number'],
      ['1e', 'invalid: not_a_number'],
      ['1,5', 'invalid: not_a_number'],
    ]
    for (const [text, wanted] of cases) assert.equal(encode('decimal', text), wanted, text)
  })

  it('text of every other kind comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom<ValueKind>('text', 'bytes', 'other'), (text, kind) => {
        assert.equal(JSON.parse(encode(kind, text)), text)
      }),
    )
  })

  it('json keeps its text but for line breaks, and its meaning', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2, '\r'), (value, space) => {
        const text = JSON.stringify(value, null, space)
        const json = encode('json', text)
        assert.deepEqual(JSON.parse(json), JSON.parse(text))
        assert.doesNotMatch(json, /[\r\n]/)
      }),
    )
    assert.equal(encode('json', '{"b":1.50,\r\n"a":12345678901234567890}'), '{"b":1.50, "a":12345678901234567890}')
    assert.equal(encode('json', '{"a":NaN}'), 'invalid: not_json')
    assert.equal(encode('json', '{},"injected":1'), 'invalid: not_json')
  })

  it('no encoded value holds a line break', () => {
    const kinds: ValueKind[] = [
      'integer',
      'decimal',
      'float',
      'boolean',
      'text',
      'timestamptz',
      'timestamp',
      'date',
      'json',
      'array',
      'bytes',
      'other',
    ]
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom(...kinds),
        fc.constantFrom<'json' | 'text'>('json', 'text'),
        (text, kind, numbers) => {
          assert.doesNotMatch(encode(kind, `${text}\n`, numbers), /[\r\n]/)
        },
      ),
    )
  })

  it('booleans, points in time, arrays', () => {
    assert.equal(encode('boolean', 'false'), 'false')
    assert.equal(encode('boolean', 't'), 'invalid: not_a_boolean')
    assert.equal(encode('timestamptz', '2026-01-31T23:59:59.123456Z'), '"2026-01-31T23:59:59.123456Z"')
    assert.equal(encode('date', 'infinity'), 'invalid: not_finite')
    assert.equal(encode('array', '[12345678901234567890,null,"x"]'), '[12345678901234567890,null,"x"]')
    assert.equal(encode('array', '[12345678901234567890,[1.50],null]', 'text'), '["12345678901234567890",["1.50"],null]')
    assert.equal(encode('array', '[1', 'text'), 'invalid: not_json')
  })
})
