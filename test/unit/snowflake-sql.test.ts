import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectorError } from '../../connectors/errors.ts'
import { shownName, type ModelColumn } from '../../connectors/snowflake/columns.ts'
import { quoteTable, withoutTerminator } from '../../connectors/snowflake/model-sql.ts'
import { selectColumns } from '../../connectors/snowflake/selection.ts'
import { nativeType, traitsOf } from '../../connectors/snowflake/types.ts'

/** What is sent to Snowflake, as text: the stand-in's SQL is not Snowflake's, so what may be said here is said here. */

const column = (name: string, type: string, scale = 0): ModelColumn => {
  const traits = traitsOf(type, scale)
  return { name: shownName(name), kind: traits.kind, nativeType: nativeType(type, 38, scale), sql: `"${name}"`, traits }
}

test('the statement ends at its own semicolon, whatever hides another', () => {
  for (const [sql, expected] of [
    ['select 1;', 'select 1'],
    ['select 1; -- ; all', 'select 1'],
    ["select ';', 'it''s ; \\' ;' as a; ", "select ';', 'it''s ; \\' ;' as a"],
    ['select 1 // ;\n, 2;', 'select 1 // ;\n, 2'],
    ['select 1 /* ; */, "a;b" from t', 'select 1 /* ; */, "a;b" from t'],
    ["select $$ ; ' $$ as a; ", "select $$ ; ' $$ as a"],
  ] as const)
    assert.equal(withoutTerminator(sql), expected)
})

test('names of tables: bare parts are upper case, quoted ones as they are, anything else is no name', () => {
  assert.equal(quoteTable('marts.customers'), '"MARTS"."CUSTOMERS"')
  assert.equal(quoteTable('db."My Schema"."a""b"'), '"DB"."My Schema"."a""b"')
  for (const odd of ['', 'a.b.c.d', 'a b', 'a;b', '"', 'a."']) assert.throws(() => quoteTable(odd), ConnectorError, odd)
})

test('names of columns: what nobody quoted is shown in lower case', () => {
  assert.deepEqual(['ID', 'FIRST_NAME', '_A$1', 'Id', 'first name', '1A'].map(shownName), [
    'id',
    'first_name',
    '_a$1',
    'Id',
    'first name',
    '1A',
  ])
})

test('a line: the key in the model’s order, then the other columns by name; NULL is \\N, free text is escaped', () => {
  const columns = [column('ID', 'fixed'), column('B', 'text'), column('A', 'boolean')]
  const { line, order, keyParts, places } = selectColumns(columns, { key: ['id'], used: ['b', 'id', 'a'] })
  const nul = "CHR(92) || 'N'"
  const free = `REPLACE(REPLACE(REPLACE(model."B", CHR(92), CHR(92) || CHR(92)), CHR(9), CHR(92) || 't'), CHR(10), CHR(92) || 'n')`
  assert.equal(
    line,
    `NVL(TO_VARCHAR(model."ID"), ${nul}) || CHR(9) || NVL(TO_VARCHAR(model."A"), ${nul}) || CHR(9) || NVL(${free}, ${nul})`,
  )
  assert.deepEqual(order, ['model."ID"'])
  assert.deepEqual(keyParts, ['int64'])
  assert.deepEqual(
    places.map(({ index }) => index),
    [2, 0, 1],
  )
})

test('text keys are ordered by their bytes; a decimal key has no zeros at its end, its value keeps them', () => {
  const columns = [column('C', 'text'), column('D', 'fixed', 2)]
  const { order, line, places } = selectColumns(columns, { key: ['c', 'd'], used: ['d', 'c'] })
  const trimmed = `RTRIM(RTRIM(TO_VARCHAR(model."D"), '0'), '.')`
  assert.deepEqual(order, [`TO_BINARY(model."C", 'UTF-8')`, `TO_BINARY(${trimmed}, 'UTF-8')`])
  assert.ok(line.endsWith(`NVL(TO_VARCHAR(model."D"), CHR(92) || 'N')`))
  assert.deepEqual(
    places.map(({ index }) => index),
    [2, 0],
  )
})

test('instants are told in UTC with nine digits at most', () => {
  const { line } = selectColumns([column('K', 'text'), column('T', 'timestamp_tz', 9)], { key: ['k'], used: ['t'] })
  const format = `'YYYY-MM-DD"T"HH24:MI:SS.FF9'`
  assert.ok(line.includes(`RTRIM(RTRIM(TO_VARCHAR(CONVERT_TIMEZONE('UTC', model."T"), ${format}), '0'), '.') || 'Z'`), line)
})
