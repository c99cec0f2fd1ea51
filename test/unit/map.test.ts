import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CanonicalText, Column, FieldDescription, ValueKind } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import { jsonEncoder } from '../../connectors/json-values.ts'
import { compileMapping } from '../../activities/plan/map.ts'
import type { SyncSpec } from '../../state/spec.ts'

const column = (name: string, kind: ValueKind = 'text'): Column => ({ name, kind, nativeType: kind })
const anyField = { encoder: (_: FieldDescription | null, kind: ValueKind) => jsonEncoder(kind), clear: 'null' }
const COLUMNS = [
  column('id', 'integer'),
  column('email'),
  column('first'),
  column('last'),
  column('active', 'boolean'),
  column('mrr', 'decimal'),
]

function mapper(fields: SyncSpec['fields'], more: Partial<SyncSpec> = {}, destination = anyField) {
  const spec: SyncSpec = { model: 'm', destination: 'd', mode: 'upsert', fields, ...more }
  const map = compileMapping({ spec, columns: COLUMNS, fields: null, destination })
  return (row: Record<string, CanonicalText>) => map(COLUMNS.map(({ name }) => row[name] ?? null))
}

test('a column, long or short, a constant and a template make one JSON object in the order of the mapping', () => {
  const map = mapper({
    email: 'email',
    'first name': { column: 'first' },
    stage: { value: 'customer' },
    score: { value: 1.5 },
    vip: { value: true },
    full: { template: '{{ first }} {{ last }}' },
  })
  assert.deepEqual(map({ email: 'a@x', first: 'A "1"', last: 'B' }), {
    fields: '{"email":"a@x","first name":"A \\"1\\"","stage":"customer","score":1.5,"vip":true,"full":"A \\"1\\" B"}',
    match: null,
  })
})

test('NULL clears, is left out, or makes the row invalid, as the field says', () => {
  const fields = { email: 'email', first: { column: 'first' }, last: { column: 'last', ifNull: 'skip' }, none: { value: null } } as const
  assert.deepEqual(mapper(fields)({ email: null }), { fields: '{"email":null,"first":null,"none":null}', match: null })
  const cleared = mapper({ first: 'first' }, {}, { ...anyField, clear: '""' })
  assert.deepEqual(cleared({}), { fields: '{"first":""}', match: null })
  assert.deepEqual(mapper({ email: 'email', first: { column: 'first', ifNull: 'reject' } })({ email: 'a@x' }), {
    invalid: 'the value is NULL and the mapping says `ifNull: reject`',
    code: 'null',
    field: 'first',
    match: null,
  })
  assert.deepEqual(mapper({ full: { template: '{{ first }}{{ last }}', ifNull: 'reject' } })({ first: '' }), {
    invalid: 'the value is NULL and the mapping says `ifNull: reject`',
    code: 'null',
    field: 'full',
    match: null,
  })
})

test('an empty text is a value, not NULL', () => {
  assert.deepEqual(mapper({ first: { column: 'first', ifNull: 'reject' } })({ first: '' }), { fields: '{"first":""}', match: null })
})

test('the match value is the plain text of the field; without one a row cannot be sent, whatever ifNull says', () => {
  const map = mapper({ email: { column: 'email', ifNull: 'skip' }, first: 'first' }, { match: 'email' })
  assert.deepEqual(map({ email: 'a"@x' }), { fields: '{"email":"a\\"@x","first":null}', match: 'a"@x' })
  assert.deepEqual(map({ first: 'A' }), { invalid: 'the match value is NULL', code: 'match_missing', field: 'email', match: null })
  assert.deepEqual(map({ email: '' }), { invalid: 'the match value is empty', code: 'match_missing', field: 'email', match: null })
  const number = mapper({ external: 'id' }, { match: 'external' })
  assert.deepEqual(number({ id: '9007199254740993' }), { fields: '{"external":9007199254740993}', match: '9007199254740993' })
  const composite = mapper({ external: { template: '{{ first }}-{{ id }}' } }, { match: 'external' })
  assert.deepEqual(composite({ first: 'eu', id: '7' }), { fields: '{"external":"eu-7"}', match: 'eu-7' })
})

test('an invalid row still tells its match value: no other row may remove or take it', () => {
  const map = mapper({ mrr: 'mrr', email: 'email' }, { match: 'email' })
  assert.deepEqual(map({ mrr: 'NaN', email: 'a@x' }), {
    invalid: 'NaN and infinities have no JSON number',
    code: 'not_finite',
    field: 'mrr',
    match: 'a@x',
  })
})

test('the first reason is the one that is told', () => {
  const map = mapper({ mrr: 'mrr', first: { column: 'first', ifNull: 'reject' } })
  const mapped = map({ mrr: 'NaN' })
  assert.equal('field' in mapped && mapped.field, 'mrr')
})

test('a template that is one column keeps the column’s kind: numbers stay numbers, booleans booleans', () => {
  const map = mapper({ id: { template: '{{ id }}' }, active: { template: '{{- active -}}' }, text: { template: '{{ id }}.' } })
  assert.deepEqual(map({ id: '12345678901234567890', active: 'false' }), {
    fields: '{"id":12345678901234567890,"active":false,"text":"12345678901234567890."}',
    match: null,
  })
})

test('a template of a literal is that literal, not a column of its name', () => {
  assert.deepEqual(mapper({ on: { template: '{{ true }}' } })({}), { fields: '{"on":"true"}', match: null })
})

test('digits pass through exactly, whatever their number', () => {
  const map = mapper({ mrr: 'mrr' })
  fc.assert(
    fc.property(fc.bigInt(), fc.stringMatching(/^[0-9]{0,30}$/), (whole, fraction) => {
      const digits = fraction === '' ? String(whole) : `${whole}.${fraction}`
      assert.deepEqual(map({ mrr: digits }), { fields: `{"mrr":${digits}}`, match: null })
    }),
  )
})

// It used to end the plan instead, with liquidjs' own error: retried without end, and with a piece of the row in the history.
test('a row for which the template does not end or fails is invalid; the others go on, and the reason holds no value', () => {
  const loop = mapper({ full: { template: '{% for a in (1..id) %}{{ first }}{% endfor %}' }, email: 'email' }, { match: 'email' })
  assert.deepEqual(loop({ id: '1000000000', first: 'secret-name', email: 'a@x' }), {
    invalid: 'the template takes too long or too much memory for this row',
    code: 'template',
    field: 'full',
    match: 'a@x',
  })
  assert.deepEqual(loop({ id: '2', first: 'A', email: 'a@x' }), { fields: '{"full":"AA","email":"a@x"}', match: 'a@x' })
  const address = compileMapping({
    spec: { model: 'm', destination: 'd', mode: 'upsert', fields: { city: { template: '{{ address.city }}' } } },
    columns: [column('address', 'json')],
    fields: null,
    destination: anyField,
  })
  assert.deepEqual(address(['{"city": secret']), {
    invalid: 'the template fails for this row',
    code: 'template',
    field: 'city',
    match: null,
  })
})

test('a kind of column that can never fit ends the compilation, naming the field', () => {
  const encoder = (field: FieldDescription | null, kind: ValueKind) => {
    if (kind === 'boolean') throw new ConnectorError('config', `${field?.name}: a boolean column does not fit`)
    return jsonEncoder(kind)
  }
  const field = { name: 'day', label: 'Day', type: 'date', writable: true, requiredOnCreate: false, unique: false }
  const spec: SyncSpec = { model: 'm', destination: 'd', mode: 'upsert', fields: { day: 'active' } }
  assert.throws(() => compileMapping({ spec, columns: COLUMNS, fields: [field], destination: { encoder, clear: 'null' } }), {
    name: 'ConnectorError',
    kind: 'config',
    message: 'day: a boolean column does not fit',
  })
})
