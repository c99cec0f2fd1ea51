import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { BaselineReader } from '../../state/baseline.ts'
import { readBooks, type BookEntry } from '../../state/books.ts'
import { baselineSize, compactBaseline, compactionDue, insertSegments } from '../../state/compaction.ts'
import type { TestDatabase } from '../harness/database.ts'
import { newSync, openState, pack } from './state-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

async function put(sync: string, seq: number, ...blocks: Parameters<typeof pack>[0][]): Promise<void> {
  const client = await db.pool.connect()
  try {
    await insertSegments(client, { sync, generation: 1, seq, blocks: blocks.map((block) => pack(block)) })
  } finally {
    client.release()
  }
}

/** The baseline as a plan reads it: key → first byte of the fingerprint, and match value. */
async function baseline(sync: string, withRemoved = false): Promise<Record<string, number | string>> {
  const client = await db.pool.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const reader = new BaselineReader(client, { sync, generation: 1, cursorName: 'b', withRemoved })
    const found: [string, number | string][] = []
    while (await reader.next()) {
      const { current } = reader
      if (current)
        found.push([
          current.key.toString(),
          current.match === null ? (current.fingerprint[0] ?? -1) : `${current.fingerprint[0]} ${current.match}`,
        ])
    }
    assert.deepEqual(
      found.map(([key]) => key),
      [...new Set(found.map(([key]) => key))].sort(),
      'every key once, in order',
    )
    return Object.fromEntries(found)
  } finally {
    client.release(true)
  }
}

async function compact(sync: string): Promise<void> {
  const client = await db.pool.connect()
  try {
    await compactBaseline(client, sync, 1, () => {})
  } finally {
    client.release()
  }
}

test('of a key that several segments hold the one settled last counts; what was removed is gone', async () => {
  const sync = newSync()
  await put(sync, 1, { a: 1, b: 1, c: 1 }, { d: 1, e: 1 })
  await put(sync, 3, { b: 3, d: 0 })
  await put(sync, 2, { b: 2, c: 2 })
  assert.deepEqual(await baseline(sync), { a: 1, b: 3, c: 2, e: 1 })
  assert.deepEqual(await baseline(sync, true), { a: 1, b: 3, c: 2, d: 0, e: 1 })
})

test('a removed key that comes back is there again', async () => {
  const sync = newSync()
  await put(sync, 1, { a: 1 })
  await put(sync, 2, { a: 0 })
  await put(sync, 3, { a: 5 })
  assert.deepEqual(await baseline(sync), { a: 5 })
})

test('match values come with the version that counts', async () => {
  const sync = newSync()
  await put(sync, 1, { a: { fingerprint: 1, match: 'a@x' }, b: { fingerprint: 1, match: 'ä@x' } })
  await put(sync, 2, { a: { fingerprint: 2, match: 'new@x' } })
  assert.deepEqual(await baseline(sync), { a: '2 new@x', b: '1 ä@x' })
})

test('generations and syncs do not mix', async () => {
  const [one, other] = [newSync(), newSync()]
  await put(one, 1, { a: 1 })
  await put(other, 1, { b: 1 })
  const client = await db.pool.connect()
  await insertSegments(client, { sync: one, generation: 2, seq: 9, blocks: [pack({ a: 9 })] })
  client.release()
  assert.deepEqual([await baseline(one), await baseline(other)], [{ a: 1 }, { b: 1 }])
})

test('more segments than one fetch brings, however they overlap, and the same after compaction', async () => {
  const segment = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 30 }), async (history) => {
      const sync = newSync()
      await db.pool.query('insert into sync_state (sync) values ($1)', [sync])
      const expected: Record<string, number> = {}
      for (const [seq, keys] of history.entries()) {
        const version = seq % 4 === 3 ? 0 : seq + 1
        const records = keys.map((key) => `k${String(key).padStart(3, '0')}`).sort()
        await put(sync, seq + 1, Object.fromEntries(records.map((key) => [key, version])))
        for (const key of records) expected[key] = version
      }
      const living = Object.fromEntries(Object.entries(expected).filter(([, version]) => version !== 0))
      assert.deepEqual(await baseline(sync), living)
      await compact(sync)
      assert.deepEqual(await baseline(sync), living)
      assert.deepEqual(await baseline(sync, true), living, 'compaction forgets what was removed')
    }),
    { numRuns: 15 },
  )
  const sync = newSync()
  const client = await db.pool.connect()
  const name = (i: number) => `k${String(i).padStart(4, '0')}`
  for (let i = 0; i < 450; i++)
    await insertSegments(client, { sync, generation: 1, seq: i + 1, blocks: [pack({ [name(i)]: 1, [name(i + 1)]: 2 })] })
  client.release()
  const all = await baseline(sync)
  assert.equal(Object.keys(all).length, 451)
  assert.deepEqual([all[name(0)], all[name(1)], all[name(450)]], [1, 1, 2])
})

// The second case: a settle that took its seq before the compaction began and committed after its snapshot. The blocks had the
// highest seq, so an older version of the key won and the record was sent a second time.
test('compaction keeps what was settled between its snapshot and its commit', async () => {
  for (const seq of [4, 2]) {
    const sync = newSync()
    await db.pool.query('insert into sync_state (sync) values ($1)', [sync])
    await put(sync, 1, { a: 1, b: 1, c: 1 })
    await put(sync, 3, { c: 3 })
    const client = await db.pool.connect()
    // The first thing that compaction does after taking its snapshot is to open the reader's cursor.
    const query = client.query.bind(client)
    let meanwhile: Promise<void> | null = null
    const spied = new Proxy(client, {
      get(target, name) {
        if (name !== 'query') return Reflect.get(target, name, target) as unknown
        return async (sql: string, values?: unknown[]) => {
          if (sql.startsWith('declare')) await (meanwhile ??= put(sync, seq, { b: 9, d: 9 }))
          return query(sql, values)
        }
      },
    })
    await compactBaseline(spied, sync, 1, () => {})
    client.release()
    assert.ok(meanwhile, 'something was settled meanwhile')
    assert.deepEqual(await baseline(sync), { a: 1, b: 9, c: 3, d: 9 }, `seq ${seq}`)
    await compact(sync)
    assert.deepEqual(await baseline(sync), { a: 1, b: 9, c: 3, d: 9 }, `seq ${seq}, compacted once more`)
  }
})

test('a compaction that fails changes nothing', async () => {
  const sync = newSync()
  await db.pool.query('insert into sync_state (sync) values ($1)', [sync])
  for (let i = 1; i <= 3; i++)
    await put(sync, i, Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`k${String(n).padStart(4, '0')}`, i])))
  const before = await db.pool.query('select seq, first_key, size from baseline_segment where sync = $1 order by seq', [sync])
  const client = await db.pool.connect()
  await assert.rejects(
    compactBaseline(client, sync, 1, () => {
      throw new Error('stopped')
    }),
    /stopped/,
  )
  await client.query('select 1')
  client.release()
  assert.deepEqual(
    (await db.pool.query('select seq, first_key, size from baseline_segment where sync = $1 order by seq', [sync])).rows,
    before.rows,
  )
})

test('compaction leaves disjoint blocks, and what is settled after it counts as laid over them', async () => {
  const sync = newSync()
  await db.pool.query('insert into sync_state (sync) values ($1)', [sync])
  await put(sync, 5, Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [`k${String(n).padStart(4, '0')}`, 1])))
  await put(sync, 7, { k0001: 2, x: 2 })
  await compact(sync)
  const { rows } = await db.pool.query<{ first: string; last: string; size: number }>(
    `select encode(first_key, 'escape') as first, encode(last_key, 'escape') as last, size from baseline_segment where sync = $1 order by first_key`,
    [sync],
  )
  assert.deepEqual(
    rows.map(({ first, last, size }) => [first, last, size]),
    [
      ['k0000', 'k0999', 1000],
      ['k1000', 'k1999', 1000],
      ['k2000', 'x', 501],
    ],
  )
  const compacted = async () =>
    (await db.pool.query<{ seq: number }>('select compacted_seq as seq from sync_state where sync = $1', [sync])).rows[0]?.seq ?? 0
  assert.deepEqual(await baselineSize(db.pool, sync, 1, await compacted()), { base: 2501, overlay: 0, overlaySegments: 0 })
  await put(sync, 8, { k0001: 3 }, { y: 3 })
  assert.deepEqual(await baselineSize(db.pool, sync, 1, await compacted()), { base: 2501, overlay: 2, overlaySegments: 2 })
})

test('compaction is due when more than a fifth, or more than 200 segments, lie over the base', () => {
  assert.equal(compactionDue({ base: 100, overlay: 20, overlaySegments: 2 }), false)
  assert.equal(compactionDue({ base: 100, overlay: 21, overlaySegments: 2 }), true)
  assert.equal(compactionDue({ base: 0, overlay: 100, overlaySegments: 1 }), false, 'one segment is a base of its own')
  assert.equal(compactionDue({ base: 1_000_000, overlay: 200, overlaySegments: 200 }), false)
  assert.equal(compactionDue({ base: 1_000_000, overlay: 201, overlaySegments: 201 }), true)
})

async function booksOf(sync: string): Promise<BookEntry[]> {
  const client = await db.pool.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const found: BookEntry[] = []
    for await (const entry of readBooks(client, sync)) found.push(entry)
    return found
  } finally {
    client.release(true)
  }
}

test('the books have one entry a key, in key order, with all that is known of it', async () => {
  const sync = newSync()
  const rejection = (id: string, due: string | null, kind = 'conflict') =>
    db.pool.query(
      `insert into rejection (sync, id, key, op, fingerprint, class, code, message, run, next_attempt)
       values ($1, $2, '"k"', 'upsert', $3, $4, 'X', '', gen_random_uuid(), clock_timestamp() + $5::interval)`,
      [sync, id, Buffer.alloc(16, 7), kind, due],
    )
  await rejection('c', '1 hour')
  await rejection('a', '-1 hour')
  await rejection('d', null, 'data')
  await db.pool.query(
    `insert into doubt values ($1, 'c', clock_timestamp() + interval '1 hour'), ($1, 'b', clock_timestamp() - interval '1 hour')`,
    [sync],
  )
  await db.pool.query(
    `insert into stale_match values ($1, 'c', 'one@x'), ($1, 'c', 'two@x'), ($1, 'e', 'e@x'), ('other', 'a', 'not ours')`,
    [sync],
  )
  const found = await booksOf(sync)
  const fingerprint = Buffer.alloc(16, 7)
  assert.deepEqual(
    found.map((entry) => ({
      ...entry,
      key: entry.key.toString(),
      doubtMs: entry.doubtMs === null || entry.doubtMs === 0 ? entry.doubtMs : entry.doubtMs > 3_500_000 ? 'an hour' : entry.doubtMs,
      staleMatches: [...entry.staleMatches].sort(),
    })),
    [
      { key: 'a', doubtMs: null, staleMatches: [], rejection: { fingerprint, due: true, class: 'conflict' } },
      { key: 'b', doubtMs: 0, staleMatches: [], rejection: null },
      { key: 'c', doubtMs: 'an hour', staleMatches: ['one@x', 'two@x'], rejection: { fingerprint, due: false, class: 'conflict' } },
      { key: 'd', doubtMs: null, staleMatches: [], rejection: { fingerprint, due: false, class: 'data' } },
      { key: 'e', doubtMs: null, staleMatches: ['e@x'], rejection: null },
    ],
  )
})

test('keys of the books are ordered as bytes, over several pages, and none is lost', async () => {
  const sync = newSync()
  await db.pool.query(`insert into doubt select $1, decode(md5(i::text), 'hex'), clock_timestamp() from generate_series(1, 4500) i`, [sync])
  await db.pool.query(`insert into doubt values ($1, '\\x00'::bytea, clock_timestamp()), ($1, '\\xff'::bytea, clock_timestamp())`, [sync])
  const keys = (await booksOf(sync)).map(({ key }) => key)
  assert.equal(keys.length, 4502)
  assert.ok(keys.every((key, i) => i === 0 || Buffer.compare(keys[i - 1] ?? key, key) < 0))
  assert.deepEqual(await booksOf(newSync()), [])
})
