import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { CanonicalText, ValueKind } from '../../connectors/contract.ts'
import type { ReadRequest, Source } from '../../connectors/source-contract.ts'
import { sourceFailures } from './source-failures.ts'
import { failure, readAll, request, type LogicalType, type SourceFixture, type TableSpec } from './source-fixture.ts'

/** Texts in which separators, escapes, NULL's mark or the order of bytes could get lost. */
const ODD_TEXTS = [
  '',
  'a',
  'A',
  'ab',
  'a b',
  'é',
  'z',
  'ｚ',
  '𝄞',
  '\t',
  '\n',
  '\r',
  '\\',
  '\\N',
  '\\n',
  'a\tb',
  'a\nb',
  '\u0001',
  'a\u0001',
  "it's",
  '"',
  '\b\f\v',
  'NULL',
]

const VALUES: Readonly<Record<LogicalType, readonly string[]>> = {
  integer: ['0', '-1', '9223372036854775807', '-9223372036854775808', '9007199254740993'],
  decimal: ['0', '12345678901234567890123456789012345678', '-0.1', '1.50', '0.00000000000000000001'],
  float: ['0.1', '0.30000000000000004', '1.7976931348623157e+308', '-5e-324'],
  boolean: ['true', 'false'],
  text: ODD_TEXTS,
  timestamptz: ['2026-01-31T23:59:59.123456Z', '2024-03-10T07:30:00Z', '1969-12-31T23:59:59.000001Z'],
  timestamp: ['2026-01-31T23:59:59.123456', '2024-03-10T02:30:00'],
  date: ['2026-01-31', '2024-03-10', '1900-02-28'],
  json: ['{"a": 1, "b": "c\\n\\u00e9\\"\\\\"}', '[12345678901234567890.10, null, true]', '"x"'],
  bytes: ['', 'AAEC/w==', 'XHgwMA=='],
}

/** What every source connector owes the plan. A connector is done when this passes for it. */
export function sourceSuite(name: string, make: () => Promise<SourceFixture>): void {
  describe(`source ${name}`, { timeout: 180_000 }, () => {
    let fixture: SourceFixture
    let source: Source
    const signal = new AbortController().signal
    before(async () => {
      fixture = await make()
      source = fixture.source
    })
    after(() => fixture.close())

    it('describe: names and kinds in the model’s order; nothing is run', async () => {
      const columns: TableSpec['columns'] = {
        z: 'integer',
        a: 'decimal',
        f: 'float',
        b: 'boolean',
        t: 'text',
        i: 'timestamptz',
        l: 'timestamp',
        d: 'date',
        j: 'json',
        y: 'bytes',
      }
      const described = await source.describe(await fixture.table({ columns, rows: [] }), signal)
      assert.deepEqual(
        described.map((column): [string, ValueKind] => [column.name, column.kind]),
        Object.entries(columns),
      )
      for (const { nativeType } of described) assert.notEqual(nativeType, '')
      assert.deepEqual(
        (await source.describe(fixture.slow, signal)).map((column) => column.name),
        ['id'],
      )
      assert.equal(await fixture.running(), 0)
    })

    for (const type of ['integer', 'decimal', 'float', 'boolean', 'text', 'timestamptz', 'timestamp', 'date', 'json', 'bytes'] as const) {
      it(`values: ${type} comes as canonical text, NULL apart`, async () => {
        const values: readonly CanonicalText[] = [...(fixture.values?.[type] ?? VALUES[type]), null]
        const query = await fixture.table({ columns: { id: 'integer', v: type }, rows: values.map((value, i) => [String(i), value]) })
        const { rows } = await readAll(source, request(query, ['id'], ['v']))
        assert.deepEqual(
          rows.map((row) => row.values),
          values.map((value) => [value]),
        )
        assert.equal(new Set(rows.map((row) => row.row)).size, values.length, 'two values with the same bytes')
      })
    }

    it('keys of every type that can be one come in the order of their bytes', async () => {
      for (const [type, values] of Object.entries(fixture.keyTypes)) {
        const query = await fixture.table({
          columns: { k: logical(type), n: 'integer' },
          rows: values.map((value, i) => [value, String(i)]),
        })
        await assertOrdered(
          request(query, ['k'], ['n', 'k']),
          values.map((value) => [value]),
          type,
        )
      }
    })

    it('composite keys with odd text', async () => {
      const rows = ODD_TEXTS.flatMap((text) =>
        ['-2', '0', '1'].flatMap((n) => [
          [text, n, 'x'],
          [text, n, text],
        ]),
      )
      const query = await fixture.table({ columns: { s: 'text', n: 'integer', u: 'text' }, rows })
      await assertOrdered(request(query, ['s', 'n', 'u'], ['u', 's']), unique(rows), 's,n,u')
      await assertOrdered(request(query, ['n', 's', 'u'], []), unique(rows.map(([s, n, u]) => [n ?? '', s ?? '', u ?? ''])), 'n,s,u')
    })

    async function assertOrdered(asked: ReadRequest, keys: readonly (readonly string[])[], what: string): Promise<void> {
      const { reading, rows } = await readAll(source, asked)
      for (const [i, row] of rows.entries()) {
        const texts = row.keyTexts.map((text) => text ?? 'NULL')
        assert.equal(reading.keyCodec.encode(texts).toString('hex'), row.key, `${what}: bytes of the key`)
        assert.deepEqual(reading.keyCodec.decode(Buffer.from(row.key ?? '', 'hex')), texts, `${what}: key out of its bytes`)
        // Hex compares as the bytes do.
        assert.ok((rows[i - 1]?.key ?? '') <= (row.key ?? ''), `${what}: order at row ${i}`)
      }
      const sorted = (list: readonly (readonly CanonicalText[])[]): string[] => list.map((key) => JSON.stringify(key)).sort()
      assert.deepEqual(sorted([...new Set(rows.map((row) => row.keyTexts))].filter(firstOfItsKey())), sorted(keys), what)
    }

    it('a NULL in the primary key: every such row is marked, the others stay in order', async () => {
      const rows = [
        [null, 'a'],
        ['2', 'b'],
        ['1', null],
        [null, null],
        ['1', 'a'],
        ['0', 'z'],
      ]
      const query = await fixture.table({ columns: { n: 'integer', s: 'text' }, rows })
      const { rows: read } = await readAll(source, request(query, ['n', 's'], ['s']))
      const [nulls, others] = [read.filter(({ key }) => key === null), read.filter(({ key }) => key !== null)]
      assert.deepEqual(
        others.map(({ keyTexts }) => keyTexts),
        [
          ['0', 'z'],
          ['1', 'a'],
          ['2', 'b'],
        ],
      )
      assert.deepEqual(
        new Set(nulls.map(({ keyTexts }) => JSON.stringify(keyTexts))),
        new Set(
          [
            [null, 'a'],
            ['1', null],
            [null, null],
          ].map((key) => JSON.stringify(key)),
        ),
      )
    })

    it('rows of one key stand side by side', async () => {
      const query = await fixture.table({
        columns: { s: 'text', v: 'integer' },
        rows: [
          ['b', '1'],
          ['a', '2'],
          ['b', '3'],
          ['c', '4'],
          ['b', '1'],
        ],
      })
      const { rows } = await readAll(source, request(query, ['s'], ['v']))
      assert.deepEqual(
        rows.map(({ keyTexts }) => keyTexts[0]),
        ['a', 'b', 'b', 'b', 'c'],
      )
      assert.equal(new Set(rows.map(({ row }) => row)).size, 4)
    })

    it('columns that are not asked for change nothing; asked for twice or in another order they are the same rows', async () => {
      const rows = [
        ['1', 'x', 'y', 'z'],
        ['2', 'x', 'y', 'z'],
      ]
      const [one, other] = [
        await fixture.table({ columns: { id: 'integer', a: 'text', b: 'text', c: 'text' }, rows }),
        await fixture.table({
          columns: { b: 'text', id: 'integer', a: 'text' },
          rows: [
            ['y', '1', 'x'],
            ['y', '2', 'x'],
          ],
        }),
      ]
      const first = await readAll(source, request(one, ['id'], ['b', 'a', 'id']))
      const second = await readAll(source, request(other, ['id'], ['a', 'b', 'a']))
      assert.deepEqual(
        first.rows.map(({ row }) => row),
        second.rows.map(({ row }) => row),
      )
      assert.deepEqual(first.rows[0]?.values, ['y', 'x', '1'])
      assert.deepEqual(second.rows[0]?.values, ['x', 'y', 'x'])
    })

    it('an empty model: no rows', async () => {
      const query = await fixture.table({ columns: { id: 'integer' }, rows: [] })
      assert.deepEqual((await readAll(source, request(query, ['id'], ['id']))).rows, [])
    })

    it('zone and locale of the worker’s process change no byte', async () => {
      const types = ['timestamptz', 'timestamp', 'date', 'decimal', 'float', 'text'] as const
      const values = types.map((type) => fixture.values?.[type]?.[0] ?? VALUES[type][0] ?? '')
      const query = await fixture.table({
        columns: { id: 'integer', ...Object.fromEntries(types.map((type) => [type, type])) },
        rows: [['1', ...values]],
      })
      const asked = request(query, ['id'], types)
      const plain = await readAll(source, asked)
      const before = { ...process.env }
      try {
        for (const [zone, locale] of [
          ['Pacific/Apia', 'de_DE.UTF-8'],
          ['America/St_Johns', 'tr_TR.UTF-8'],
        ] as const) {
          Object.assign(process.env, {
            TZ: zone,
            LANG: locale,
            LC_ALL: locale,
            PGTZ: zone,
            PGDATESTYLE: 'German',
            PGCLIENTENCODING: 'LATIN1',
          })
          assert.deepEqual((await readAll(fixture.reopen(), asked)).rows, plain.rows, `${zone}, ${locale}`)
        }
      } finally {
        for (const name of ['TZ', 'LANG', 'LC_ALL', 'PGTZ', 'PGDATESTYLE', 'PGCLIENTENCODING']) {
          if (before[name] === undefined) Reflect.deleteProperty(process.env, name)
          else process.env[name] = before[name]
        }
      }
      assert.deepEqual(plain.rows[0]?.values, values)
    })

    it('the schema changes between two runs: the next read goes by the new one', async () => {
      const query = await fixture.table({ columns: { id: 'integer', a: 'text', b: 'text' }, rows: [['1', 'x', 'y']] })
      const before = await readAll(source, request(query, ['id'], ['a']))
      const changed: TableSpec = {
        columns: { c: 'date', a: 'text', id: 'integer' },
        rows: [
          ['2026-01-31', 'x', '1'],
          [null, 'z', '2'],
        ],
      }
      await fixture.table(changed, query)
      assert.deepEqual(
        (await source.describe(query, signal)).map(({ name, kind }) => [name, kind]),
        [
          ['c', 'date'],
          ['a', 'text'],
          ['id', 'integer'],
        ],
      )
      const after = await readAll(source, request(query, ['id'], ['a']))
      assert.deepEqual(after.rows[0], before.rows[0], 'a column added, one gone, another order: an unchanged row stays the same bytes')
      assert.equal(after.rows.length, 2)
      const gone = await failure(source.read(request(query, ['id'], ['b'])))
      assert.equal(gone.kind, 'config')
      await fixture.table({ columns: { id: 'text', a: 'text' }, rows: [['1', 'x']] }, query)
      const other = await readAll(source, request(query, ['id'], ['a']))
      assert.notEqual(other.reading.keyCodec.signature, before.reading.keyCodec.signature, 'a key of another type has other bytes')
    })

    it('a column that is not there: config, with the nearest name and all there are', async () => {
      const query = await fixture.table({ columns: { id: 'integer', email: 'text', plan: 'text' }, rows: [] })
      for (const asked of [request(query, ['id'], ['emial']), request(query, ['emial'], ['id'])]) {
        const { kind, message } = await failure(source.read(asked))
        assert.equal(kind, 'config')
        for (const part of ['"emial"', 'nearest is "email"', 'id, email, plan']) assert.ok(message.includes(part), message)
      }
    })

    it('a key type without an order: config, with the column, its type and those that work', async () => {
      const query = await fixture.table({ columns: { odd: fixture.badKeyType }, rows: [] })
      const { kind, message } = await failure(source.read(request(query, ['odd'], [])))
      assert.equal(kind, 'config')
      assert.match(message, /"odd" is of type .+these work: .+/)
    })

    it('100,000 rows, 200 MB, are read in constant memory and counted', async () => {
      const reading = await source.read(request(fixture.many(100_000), ['id'], ['filler']))
      const before = process.memoryUsage.rss()
      let peak = before
      let seen = 0
      for await (const block of reading.blocks()) {
        seen += block.length
        peak = Math.max(peak, process.memoryUsage.rss())
      }
      assert.equal(seen, 100_000)
      // Stand-ins and proxies live in this process, too.
      assert.ok(peak - before < (fixture.readMemoryBytes ?? 150_000_000), `grew by ${peak - before} bytes`)
    })

    sourceFailures(() => fixture)
  })
}

function logical(type: string): LogicalType {
  const found = Object.keys(VALUES).find((known): known is LogicalType => known === type)
  assert.ok(found)
  return found
}

function unique(rows: readonly (readonly string[])[]): string[][] {
  return [...new Map(rows.map((row) => [JSON.stringify(row), [...row]])).values()]
}

function firstOfItsKey(): (key: readonly CanonicalText[]) => boolean {
  const seen = new Set<string>()
  return (key) => {
    const text = JSON.stringify(key)
    return !seen.has(text) && seen.add(text).size > 0
  }
}
