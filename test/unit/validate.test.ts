import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, FieldDescription, ObjectDescription } from '../../connectors/contract.ts'
import { hubspot } from '../../connectors/hubspot/index.ts'
import { validateSync } from '../../activities/prepare/validate.ts'
import type { SyncSpec } from '../../state/spec.ts'

const field = (name: string, more: Partial<FieldDescription> = {}): FieldDescription => ({
  name,
  label: name,
  type: 'string',
  writable: true,
  requiredOnCreate: false,
  unique: false,
  ...more,
})
const contacts: ObjectDescription = {
  name: 'contacts',
  fields: [
    field('email', { type: 'email', unique: true }),
    field('firstname'),
    field('lastname'),
    field('annualrevenue', { type: 'number' }),
    field('hs_object_id', { writable: false, unique: true }),
    field('createdate', { type: 'datetime', writable: false }),
  ],
}
const columns: readonly Column[] = [
  { name: 'id', kind: 'integer', nativeType: 'int8' },
  { name: 'email', kind: 'text', nativeType: 'text' },
  { name: 'first_name', kind: 'text', nativeType: 'text' },
  { name: 'active', kind: 'boolean', nativeType: 'bool' },
]
const destination = hubspot.open({ accessToken: 'pat-x', baseUrl: 'http://127.0.0.1:1' })

function problems(
  sync: Partial<SyncSpec>,
  more: { object?: ObjectDescription | null; primaryKey?: string[]; columns?: readonly Column[] } = {},
) {
  const spec: SyncSpec = {
    model: 'm',
    destination: 'd',
    object: 'contacts',
    mode: 'upsert',
    match: 'email',
    fields: { email: 'email' },
    ...sync,
  }
  const { object = contacts, primaryKey = ['id'] } = more
  return validateSync({ spec, primaryKey, columns: more.columns ?? columns, object, destination })
}

test('a sync that can run has no problems', () => {
  assert.deepEqual(problems({ fields: { email: 'email', firstname: { template: '{{ first_name }}!' }, lastname: { value: 'x' } } }), [])
})

test('a destination that takes any field is asked for none', () => {
  const spec: SyncSpec = { model: 'm', destination: 'd', mode: 'upsert', match: 'mail', fields: { mail: 'email', on: 'active' } }
  const anyField = { encoder: () => (text: string) => ({ json: JSON.stringify(text) }), clear: 'null' }
  assert.deepEqual(validateSync({ spec, primaryKey: ['id'], columns, object: null, destination: anyField }), [])
})

test('a column that the model does not have: the ones it has, the nearest first', () => {
  assert.deepEqual(problems({ fields: { email: 'emial', firstname: { template: '{{ first_nam }} {{ id }}' } } }), [
    { pointer: '/fields', message: 'the model has no column emial; it has email, id, active, first_name' },
    { pointer: '/fields', message: 'the model has no column first_nam; it has first_name, active, id, email' },
  ])
  assert.deepEqual(problems({}, { primaryKey: ['ID', 'email'] }), [
    { pointer: '/primaryKey', message: 'the model has no column ID; it has id, email, active, first_name' },
  ])
  assert.deepEqual(problems({}, { columns: [], primaryKey: [] })[0]?.message, 'the model has no column email; it has none')
})

test('of many columns only the nearest are shown', () => {
  const many = [
    ...columns,
    ...Array.from({ length: 20 }, (_, i) => ({ name: `unrelated_column_${i}`, kind: 'text' as const, nativeType: 'text' })),
  ]
  const [problem] = problems({ fields: { email: 'e_mail' } }, { columns: many })
  assert.match(problem?.message ?? '', /^the model has no column e_mail; it has email, [^,]+, [^,]+, [^,]+, [^,]+, …$/)
})

test('an unknown field: near names; the pointer names it', () => {
  assert.deepEqual(problems({ fields: { email: 'email', first_name: 'first_name' } }), [
    {
      pointer: '/fields/first_name',
      message: 'contacts has no field first_name; near names are firstname, lastname, createdate, email, annualrevenue, hs_object_id',
    },
  ])
})

test('a field name is escaped in the pointer (RFC 6901)', () => {
  assert.equal(problems({ fields: { email: 'email', 'a/b~c': 'first_name' } })[0]?.pointer, '/fields/a~1b~0c')
})

test('a read-only field cannot be mapped; as the match field it can', () => {
  assert.deepEqual(problems({ fields: { email: 'email', createdate: { value: '2026-01-31' } } }), [
    { pointer: '/fields/createdate', message: 'createdate of contacts is read-only' },
  ])
  assert.deepEqual(problems({ mode: 'update', match: 'hs_object_id', fields: { hs_object_id: 'id', firstname: 'first_name' } }), [])
})

test('a match field that is not unique: which ones are', () => {
  assert.deepEqual(problems({ match: 'firstname', fields: { firstname: 'first_name' } }), [
    {
      pointer: '/match',
      message: 'firstname of contacts is not unique, so records could not be told apart; unique fields are email, hs_object_id',
    },
  ])
  const none = { name: 'deals', fields: [field('dealname')] }
  assert.deepEqual(problems({ match: 'dealname', fields: { dealname: 'email' } }, { object: none }), [
    { pointer: '/match', message: 'dealname of deals is not unique, so records could not be told apart; it has no unique field yet' },
  ])
})

test('a field that a new record needs: only where records may be created', () => {
  const needs = { name: 'deals', fields: [...contacts.fields, field('dealname', { requiredOnCreate: true })] }
  const missing = [{ pointer: '/fields', message: 'dealname is required to create a record; map it, or use mode update' }]
  assert.deepEqual(problems({}, { object: needs }), missing)
  assert.deepEqual(problems({ mode: 'mirror' }, { object: needs }), missing)
  assert.deepEqual(problems({ mode: 'insert' }, { object: needs }), missing)
  assert.deepEqual(problems({ mode: 'update' }, { object: needs }), [])
  assert.deepEqual(problems({ fields: { email: 'email', dealname: 'first_name' } }, { object: needs }), [])
})

test('a kind of column that can never fit its field: what to cast it to', () => {
  assert.deepEqual(problems({ fields: { email: 'email', annualrevenue: 'active' } }), [
    {
      pointer: '/fields',
      message:
        'annualrevenue: a boolean column does not fit a HubSpot property of type number; cast it in the model to one of: text, other, integer, decimal, float',
    },
  ])
})

test('all problems are told at once', () => {
  const pointers = problems(
    { match: 'firstname', fields: { firstname: 'nope', nofield: 'email', createdate: 'email' } },
    { primaryKey: ['key'] },
  ).map(({ pointer }) => pointer)
  assert.deepEqual(pointers, ['/primaryKey', '/fields', '/fields/nofield', '/fields/createdate', '/match'])
})
