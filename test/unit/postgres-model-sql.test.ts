import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConnectorError } from '../../connectors/errors.ts'
import { lineAndColumn, quoteTable, withoutTerminator, wrapModel } from '../../connectors/pgwire/model-sql.ts'

describe('model SQL', () => {
  const statements: [string, string][] = [
    ['select 1', 'select 1'],
    ['select 1;', 'select 1'],
    ['select 1 ; -- done;\n;; /* ; /* ; */ ; */ ', 'select 1 '],
    ["select ';' as a -- ; '\n;", "select ';' as a -- ; '\n"],
    ["select 'it''s;' /* ' ; */;", "select 'it''s;' /* ' ; */"],
    ["select E'\\';' as a;", "select E'\\';' as a"],
    ["select 'a\\';", "select 'a\\'"],
    ['select ";""" from t;', 'select ";""" from t'],
    ['select $$;$$, $tag$ $$; $tag$;', 'select $$;$$, $tag$ $$; $tag$'],
    ['select a$b$ from t; -- $b$', 'select a$b$ from t'],
    ['select $1;', 'select $1'],
    ['/* a /* b */ ; */ select 1;', '/* a /* b */ ; */ select 1'],
    ['select ü;', 'select ü'],
    ['', ''],
  ]
  for (const [given, expected] of statements) {
    it(`ends before its semicolon: ${JSON.stringify(given)}`, () =>
      assert.equal(withoutTerminator(given, { backslashEscapes: false }), expected))
  }

  const escaping: [string, string][] = [
    ["select 'a\\';' as a; -- ' ;", "select 'a\\';' as a"],
    ["select 'a\\\\'; -- '", "select 'a\\\\'"],
  ]
  for (const [given, expected] of escaping) {
    it(`where a backslash escapes: ${JSON.stringify(given)}`, () =>
      assert.equal(withoutTerminator(given, { backslashEscapes: true }), expected))
  }

  it('stays itself inside the wrapper, a comment at its end included', () => {
    const wrapped = wrapModel({ text: 'select 1 as a -- end', written: true, backslashEscapes: false }, '*')
    assert.equal(wrapped.text, 'select * from (\nselect 1 as a -- end\n) as model')
    assert.equal(wrapped.text.slice(wrapped.offset, wrapped.offset + 8), 'select 1')
  })

  it('counts lines and columns in characters', () => {
    assert.deepEqual(lineAndColumn('select\n  𝄞x, y', 10), { line: 2, column: 3 })
    assert.deepEqual(lineAndColumn('select\n  𝄞x, y', 13), { line: 2, column: 6 })
    assert.deepEqual(lineAndColumn('x', 1), { line: 1, column: 1 })
  })

  const tables: [string, string][] = [
    ['customers', '"customers"'],
    ['Analytics.Customers', '"analytics"."customers"'],
    ['user', '"user"'],
    ['"My-Schema"."a.b""c"', '"My-Schema"."a.b""c"'],
    ['db.schema.t', '"db"."schema"."t"'],
    [' t$1 ', '"t$1"'],
  ]
  for (const [given, expected] of tables) it(`table ${given}`, () => assert.equal(quoteTable(given), expected))

  for (const bad of ['', 'my-table', 'a.b.c.d', 't; drop table x', 'a b', '"a', 'a..b', '(select 1)']) {
    it(`no table: ${JSON.stringify(bad)}`, () =>
      assert.throws(
        () => quoteTable(bad),
        (error) => error instanceof ConnectorError && error.kind === 'config' && error.message.includes('schema.table'),
      ))
  }
})
