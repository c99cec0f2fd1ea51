import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import type { Scalar } from '../../connectors/matched-records.ts'
import { bulkShape, headerLine, parentField, recordLine, type BulkShape } from '../../connectors/salesforce/bulk-csv.ts'
import { BulkResultsTable, readRowError, type ResultFile } from '../../connectors/salesforce/bulk-results.ts'
import { bulkOutcome } from '../../connectors/salesforce/bulk-outcomes.ts'
import { foldMatch } from '../../connectors/salesforce/compare.ts'
import type { SalesforceObject } from '../../connectors/salesforce/object.ts'
import type { SalesforceRecord } from '../../connectors/salesforce/record.ts'

const OBJECT = {
  name: 'Account',
  fields: new Map([['Active__c', { name: 'Active__c', type: 'boolean' }]]),
} as unknown as SalesforceObject

const REQUEST = { object: 'Account', mode: 'upsert', match: 'Ext__c', op: 'upsert' } as const
const shapeOf = (fields: readonly string[], more: object = {}): BulkShape => bulkShape({ ...REQUEST, fields, ...more }, OBJECT)

function record(fields: Record<string, Scalar>): SalesforceRecord {
  const match = String(fields['Ext__c'] ?? 'x')
  return { id: 'id', op: 'upsert', match, folded: match.toLowerCase(), fields }
}

const cellsOf = (line: string): string[] => parse(line, { record_delimiter: '\n' })[0] ?? []

test('any text comes through a CSV as it is, or the record is left out', () => {
  const shape = shapeOf(['A', 'B', 'C', 'Ext__c'])
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', ' ', '#', 'N', '/', 'A', 'é') }),
  )
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      const line = recordLine(record({ A: a, B: b, C: c, Ext__c: 'x' }), shape, null)
      const hard = [a, b, c].some((each) => each.includes('\r') || each.trim().toUpperCase() === '#N/A')
      if (hard) return assert.equal(line, null)
      assert.ok(line !== null && line.endsWith('\n'))
      return assert.deepEqual(cellsOf(line), [...[a, b, c].map((each) => (each === '' ? '#N/A' : each)), 'x'])
    }),
    { numRuns: 500 },
  )
})

test('a field that is not there is an empty cell, null is #N/A, a cleared checkbox is false, numbers are digits', () => {
  const shape = shapeOf(['Ext__c', 'Name', 'Active__c', 'MRR__c'])
  assert.equal(headerLine(shape), 'Active__c,Ext__c,MRR__c,Name\n')
  assert.equal(recordLine(record({ Ext__c: 'x', Name: null, Active__c: null, MRR__c: 12.5 }), shape, null), 'false,x,12.5,#N/A\n')
  assert.equal(recordLine(record({ Ext__c: 'x', Active__c: true, MRR__c: 0 }), shape, null), 'true,x,0,\n')
  // Nothing trims: a space at an end is part of the value, and quotes keep it from touching the separator.
  assert.equal(recordLine(record({ Ext__c: ' x', Name: 'y ' }), shape, null), ',\" x\",,\"y \"\n'.replaceAll('\\', ''))
})

test('what a CSV cannot say goes another way', () => {
  const shape = shapeOf(['Ext__c', 'Name', 'Account.Ext__c'])
  const carried = (fields: Record<string, Scalar>) => recordLine(record({ Ext__c: 'x', ...fields }), shape, null) !== null
  assert.ok(carried({ Name: 'n', 'Account.Ext__c': 'p' }))
  assert.ok(carried({ Name: 'n' }), 'a relationship that is not mentioned')
  assert.ok(!carried({ 'Account.Ext__c': null }), 'the absence of a related record')
  for (const hard of ['#N/A', ' #n/a ', 'a\rb', 'a\r\nb', 'x'.repeat(32_001)])
    assert.ok(!carried({ Name: hard }), JSON.stringify(hard.slice(0, 9)))
  assert.ok(carried({ Name: 'x'.repeat(32_000) }))
  const wide = Array.from({ length: 13 }, (_, i) => `F${i}`)
  const long = Object.fromEntries(wide.map((name) => [name, 'x'.repeat(31_000)]))
  assert.equal(recordLine(record(long), shapeOf(wide), null), null, 'a row of more than 400,000 characters')
})

test('operations: updates and deletes go by id and leave the match field alone', () => {
  assert.deepEqual(shapeOf(['Ext__c', 'Name'], { mode: 'mirror' }).operation, 'upsert')
  const update = shapeOf(['Ext__c', 'Name'], { mode: 'update' })
  assert.deepEqual([update.operation, headerLine(update)], ['update', 'Id,Name\n'])
  assert.equal(recordLine(record({ Ext__c: 'x', Name: 'n' }), update, '001000000000001AAA'), '001000000000001AAA,n\n')
  const remove = shapeOf(['Ext__c', 'Name'], { mode: 'mirror', op: 'delete' })
  assert.deepEqual([remove.operation, headerLine(remove)], ['delete', 'Id\n'])
  assert.equal(recordLine(record({ Ext__c: 'x' }), remove, '001000000000001AAA'), '001000000000001AAA\n')
})

test('the parent is the first relationship or lookup, but no owner', () => {
  const field = (name: string, type = 'string') => ({ name, label: name, type, writable: true, requiredOnCreate: false, unique: false })
  assert.equal(parentField([field('Name'), field('OwnerId', 'reference'), field('Account.Ext__c')]), 'Account.Ext__c')
  assert.equal(parentField([field('Owner.Ext__c'), field('AccountId', 'reference')]), 'AccountId')
  assert.equal(parentField([field('Name')]), null)
})

async function tableOf(column: string, files: Partial<Record<ResultFile, string>>, chunk = 7): Promise<BulkResultsTable> {
  const table = new BulkResultsTable(column, (text) => foldMatch(text, null))
  for (const [name, text] of Object.entries(files)) {
    const { receive, end } = table.reader(name as ResultFile)
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += chunk) receive(bytes.subarray(at, at + chunk))
    await end()
  }
  return table
}

test('results are found by canonical key, in whatever pieces, order and case they come', async () => {
  const table = await tableOf('Ext__c', {
    successfulResults: '\u{feff}"sf__Id","sf__Created","Name","ext__C"\n"001","true","line 1\nline ""2"", é","B "\n"002","false","","a"\n',
    failedResults: '"sf__Id","sf__Error","Name","Ext__c"\n"","REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --","","C"\n',
    unprocessedrecords: '"Name","Ext__c"\n"d","D"\n',
  })
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((key) => table.of(key)?.kind),
    ['done', 'done', 'failed', 'unprocessed', undefined],
  )
  const failed = table.of('c')
  assert.deepEqual(failed?.kind === 'failed' ? failed.error : null, {
    code: 'REQUIRED_FIELD_MISSING',
    words: 'Required fields are missing: [Name]',
    fields: ['Name'],
  })
})

test('a key that comes twice says nothing; a file without the key column or without rows finds nothing', async () => {
  const twice = await tableOf('Ext__c', { successfulResults: '"Ext__c"\n"x"\n', failedResults: '"sf__Error","Ext__c"\n"A:b:--","X"\n' })
  assert.equal(twice.of('x')?.kind, 'conflicting')
  const without = await tableOf('Ext__c', {
    successfulResults: '"sf__Id","Name"\n"1","x"\n',
    failedResults: '',
    unprocessedrecords: '"Ext__c"\n',
  })
  assert.equal(without.of('x'), undefined)
  await assert.rejects(tableOf('Ext__c', { successfulResults: '"Ext__c"\n"a"b"\n' }), { kind: 'unreachable' })
})

test('row errors: code, words with colons, fields or none', () => {
  const cases: [string, string, string, string[]][] = [
    [
      'INVALID_EMAIL_ADDRESS:Email: invalid email address: badone:Email --',
      'INVALID_EMAIL_ADDRESS',
      'Email: invalid email address: badone',
      ['Email'],
    ],
    [
      'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: 001x:--',
      'UNABLE_TO_LOCK_ROW',
      'unable to obtain exclusive access to this record or 1 records: 001x',
      [],
    ],
    [
      'DUPLICATE_VALUE:duplicate value found: F duplicates value on record with id: 001:F, G --',
      'DUPLICATE_VALUE',
      'duplicate value found: F duplicates value on record with id: 001',
      ['F', 'G'],
    ],
    ['something else', 'UNKNOWN', 'something else', []],
  ]
  for (const [text, code, words, fields] of cases) assert.deepEqual(readRowError(text), { code, words, fields })
})

test('outcomes: silence is doubt, what was not done is open, what is gone is removed', async () => {
  const table = await tableOf('Ext__c', {
    successfulResults: '"Ext__c"\n"done"\n"001000000000001"\n',
    failedResults:
      '"sf__Error","Ext__c"\n"UNABLE_TO_LOCK_ROW:unable:--","locked"\n"STRING_TOO_LONG:Name: too large: secret:Name --","bad"\n"DUPLICATES_DETECTED:Use one of these records?:--","twin"\n',
    unprocessedrecords: '"Ext__c"\n"late"\n',
  })
  const sent = { inputs: [], match: 'Ext__c', mode: 'upsert' } as const
  const of = (key: string, more: object = {}, op: 'upsert' | 'delete' = 'upsert') =>
    bulkOutcome({ ...record({ Ext__c: key, Name: 'secret' }), op }, { sent, carried: true, found: null, table, ...more })
  assert.deepEqual(
    ['done', 'late', 'locked', 'twin', 'nobody'].map((key) => of(key).status),
    ['delivered', 'retry', 'retry', 'retry', 'in_doubt'],
  )
  const bad = of('bad')
  assert.ok(
    bad.status === 'rejected' && bad.class === 'data' && bad.field === 'Name' && !bad.message.includes('secret'),
    JSON.stringify(bad),
  )
  assert.equal(of('done', { carried: false }).status, 'retry')
  assert.equal(of('x', { found: [] }, 'delete').status, 'delivered')
  assert.equal(of('x', { found: [] }).status, 'retry')
  assert.equal(of('x', { found: ['1', '2'] }, 'delete').status, 'in_doubt')
})
