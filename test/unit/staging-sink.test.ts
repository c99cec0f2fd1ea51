import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openState } from '../contract/state-fixture.ts'
import type { TestDatabase } from '../harness/database.ts'
import { book, hashMatch, openSink, removal, row } from './staging-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

test('planned rows are frozen in batches of their kind, each in key order, numbered as they begin', async () => {
  await openSink(db.pool, async ({ sink, read }) => {
    for (const key of ['a', 'b']) sink.planned(row(key))
    sink.planned(row('c', { op: 'changed', book: book() }))
    sink.planned(row('d', { op: 'changed', book: book({ doubtMs: 60_000 }) }))
    sink.planned(row('e', { op: 'changed' }))
    sink.planned(row('f'))
    sink.planned(row('g', { op: 'changed', book: book({ doubtMs: 30_000 }) }))
    await sink.flush()
    const found = await read()
    assert.deepEqual(
      found.map(({ kind, keys, wait }) => [kind, keys.join(''), wait]),
      [
        ['upsert 0 aac', 'abe', null],
        ['upsert 1 c books', 'c', null],
        ['upsert 2 cc doubtful books', 'dg', 60],
        ['upsert 3 a', 'f', null],
      ],
      'a doubtful batch waits as long as the longest of its records',
    )
    const [first] = found
    assert.ok(first)
    assert.deepEqual(first.lines, [
      '{"id":"a","op":"upsert","key":"a","fields":{"email":"a@x"}}',
      '{"id":"b","op":"upsert","key":"b","fields":{"email":"b@x"}}',
      '{"id":"e","op":"upsert","key":"e","fields":{"email":"e@x"}}',
    ])
    assert.deepEqual(
      [first.ends, first.matches],
      [
        ['a', 'e'],
        ['a@x', 'b@x', 'e@x'],
      ],
    )
    assert.deepEqual([sink.counts, sink.upsertBatches], [{ added: 3, changed: 4, invalid: 0 }, 4])
  })
})

test('segments carry match values only where they are not the key itself', async () => {
  await openSink(
    db.pool,
    async ({ sink, read }) => {
      sink.planned(row('a'))
      await sink.flush()
      assert.deepEqual((await read())[0]?.matches, [null])
    },
    { carriesMatch: false },
  )
})

test('a verify run reads everything back first', async () => {
  await openSink(
    db.pool,
    async ({ sink, read }) => {
      sink.planned(row('a'))
      sink.removal(removal('b', 'b@x'))
      await sink.flush()
      assert.deepEqual(
        (await read()).map(({ kind, wait }) => [kind, wait]),
        [['upsert 0 a doubtful books', null]],
      )
    },
    { readBackFirst: true },
  )
})

test('a row that drifted is batched apart and is unchanged no more', async () => {
  await openSink(db.pool, async ({ sink, read }) => {
    sink.unchanged(0, Buffer.alloc(0), 0, 0)
    sink.unchanged(1, Buffer.alloc(0), 0, 0)
    sink.planned(row('z'))
    sink.drifted(row('a', { op: 'changed' }), 0)
    await sink.flush()
    assert.deepEqual([sink.unchangedOrdinals.has(0), sink.unchangedOrdinals.has(1)], [false, true])
    assert.deepEqual(
      (await read()).map(({ kind, keys }) => [kind, keys.join('')]),
      [
        ['upsert 0 a', 'z'],
        ['upsert 1 c books', 'a'],
      ],
    )
  })
})

test('invalid rows are kept with their reason and no fields; a row without a key is told apart by its content', async () => {
  await openSink(db.pool, async ({ sink, read }) => {
    const reason = { code: 'null_key', field: null, message: 'the primary key is NULL' }
    sink.invalid({ op: 'added', key: Buffer.alloc(0), keyTexts: [null], fingerprint: Buffer.alloc(16, 1), match: null, ...reason })
    sink.invalid({ op: 'added', key: Buffer.alloc(0), keyTexts: [null, 'b'], fingerprint: Buffer.alloc(16, 2), match: 'held@x', ...reason })
    sink.invalid({
      op: 'changed',
      key: Buffer.from('a'),
      keyTexts: ['a'],
      fingerprint: Buffer.alloc(16, 3),
      match: null,
      code: 'X',
      field: 'email',
      message: 'bad',
    })
    await sink.flush()
    const [batch] = await read()
    assert.ok(batch)
    assert.equal(batch.kind, 'invalid 0 iii')
    assert.deepEqual(
      batch.lines.map((line) => JSON.parse(line) as unknown),
      [
        { key: null, op: 'upsert', change: 'added', fields: {}, error: reason },
        { key: [null, 'b'], op: 'upsert', change: 'added', fields: {}, error: reason },
        { key: 'a', op: 'upsert', change: 'changed', fields: {}, error: { code: 'X', field: 'email', message: 'bad' } },
      ],
    )
    assert.deepEqual(
      [...sink.invalidRejections.values()].map(({ id, key, class: kind, retryAfterMs }) => [id.toString('hex'), key, kind, retryAfterMs]),
      [
        ['01'.repeat(16), null, 'invalid', null],
        ['02'.repeat(16), [null, 'b'], 'invalid', null],
        ['61', 'a', 'invalid', null],
      ],
    )
    assert.deepEqual([sink.counts.invalid, sink.upsertBatches, sink.removeBatches], [3, 0, 0])
  })
})

test('match values that rows share are found whatever their case; a holder that is not planned counts, a key alone with itself does not', async () => {
  await openSink(db.pool, async ({ sink, tables }) => {
    for (const key of ['a', 'b', 'c', 'd', 'e']) sink.planned(row(key, { match: { a: 'Same@x', c: 'same@X' }[key] ?? `${key}@x` }))
    sink.holds('B@X')
    sink.holds('nobody@x')
    await sink.flush()
    assert.ok(sink.matchFilter.mayHave(hashMatch('same@x')))
    const shared = await tables.takeBackShared()
    assert.deepEqual(shared.map(({ key, seq }) => `${key.toString()} ${seq}`).sort(), ['a 0', 'b 0', 'c 0'])
  })
})

test('baseline entries end where another row takes over their match value or has it for good, not where none of two may have it', async () => {
  await openSink(db.pool, async ({ sink, tables }) => {
    sink.planned(row('b', { match: 'taken@x' }))
    sink.planned(row('c', { match: 'clash@x' }))
    sink.planned(row('d', { match: 'clash@x' }))
    sink.planned(row('e', { match: 'own@x' }))
    sink.holds('refused@x')
    sink.holdsHash(hashMatch('settled@x'), 'a')
    const old = { z: 'TAKEN@x', c: 'clash@x', e: 'own@x', y: 'refused@x', a: 'settled@x', x: 'free@x' }
    for (const [key, match] of Object.entries(old)) sink.mayEnd(hashMatch(match), Buffer.from(key), match)
    sink.unknown(Buffer.from('w'), 'anything@x')
    await sink.flush()
    await tables.takeBackShared()
    const ended = await tables.endings()
    assert.deepEqual(
      ended.map(({ key, match }) => `${key.toString()} ${match}`),
      ['a settled@x', 'w anything@x', 'z TAKEN@x'],
    )
  })
})

test('what was taken over for good leaves the books, once nothing of it is in doubt', async () => {
  await openSink(db.pool, async ({ sink, tables }) => {
    for (const match of ['one@x', 'two@x', 'three@x', 'four@x']) sink.holdsHash(hashMatch(match), 'a')
    sink.holds('held@x')
    sink.removal(removal('a', 'one@x', { book: book({ doubtMs: 0 }) }))
    sink.removal(removal('b', 'two@x', { book: book({ doubtMs: 5_000 }) }))
    sink.removal(removal('c', 'three@x'))
    sink.removal(removal('c', 'held@x'))
    sink.removal(removal('d', 'four@x', { renames: true }))
    await sink.flush()
    const closed = await tables.dropHeldRemovals()
    assert.deepEqual(closed.map(({ key, match, certain }) => `${key.toString()} ${match} ${certain}`).sort(), [
      'a one@x true',
      'c three@x false',
    ])
  })
})

test('removals: none whose match value a row holds, none of a renamed row that is not sent; in key order, the record before its old values', async () => {
  await openSink(db.pool, async ({ sink, tables, read }) => {
    sink.planned(row('k', { match: 'held@x' }))
    sink.removal(removal('d', 'd@x'))
    sink.removal(removal('a', 'old@x', { counted: false }))
    sink.removal(removal('a', 'a@x'))
    sink.removal(removal('b', 'HELD@x'))
    sink.removal(removal('c', 'c@x', { counted: false, renames: true }))
    sink.removal(removal('e', 'e@x', { counted: false, renames: true }))
    sink.removal(removal('f', 'f@x', { book: book({ doubtMs: 5_000 }) }))
    await sink.flush()
    await tables.dropRenamesOf([Buffer.from('c')])
    await tables.dropHeldRemovals()
    const counted = await sink.remove(tables.removals(2), (key) => [key.toString()])
    await sink.flush()
    assert.equal(counted, 3)
    const removed = (await read()).filter(({ kind }) => kind.startsWith('remove'))
    assert.deepEqual(
      removed.map(({ kind, keys, matches, wait }) => [kind, keys.join(''), matches, wait]),
      [
        ['remove 0 rxr books', 'aad', ['a@x', 'old@x', 'd@x'], null],
        ['remove 1 x books', 'e', ['e@x'], null],
        ['remove 2 r doubtful books', 'f', ['f@x'], 5],
      ],
    )
    assert.deepEqual(removed[0]?.lines, [
      '{"id":"a/a@x","op":"delete","key":"a","fields":{"email":"a@x"}}',
      '{"id":"a/old@x","op":"delete","key":"a","fields":{"email":"old@x"}}',
      '{"id":"d/d@x","op":"delete","key":"d","fields":{"email":"d@x"}}',
    ])
    assert.deepEqual(
      sink.renamed.map(({ key, match }) => `${key.toString()} ${match}`),
      ['c c@x', 'e e@x'],
    )
    assert.equal(sink.removeBatches, 3)
  })
})

test('a removal without a match value names the key only', async () => {
  await openSink(db.pool, async ({ sink, read }) => {
    const bare = { key: Buffer.from('a'), match: null, hash: null, counted: true, doubtMs: null, renames: false }
    const pages = async function* () {
      yield [bare]
    }
    assert.equal(await sink.remove(pages(), () => ['eu', '7']), 1)
    await sink.flush()
    assert.deepEqual((await read())[0]?.lines, ['{"id":"a/","op":"delete","key":["eu","7"],"fields":{}}'])
  })
})

test('more than fits into one write is drained on the way, and all of it is there in the end', async () => {
  await openSink(db.pool, async ({ sink, tables, read }) => {
    let drained = 0
    for (let i = 0; i < 7000; i++) {
      sink.planned(row(`k${String(i).padStart(5, '0')}`))
      if (!sink.full) continue
      drained++
      await sink.drain()
    }
    await sink.flush()
    assert.ok(drained > 10)
    const found = await read()
    assert.deepEqual([found.length, found.flatMap(({ keys }) => keys).length], [2334, 7000])
    assert.equal((await tables.takeBackShared()).length, 0)
  })
})

test('a write that fails is told, at the latest by the end', async () => {
  await openSink(db.pool, async ({ sink }) => {
    await db.pool.query('alter table batch add constraint full_up check (size < 3) not valid')
    try {
      for (const key of ['a', 'b', 'c']) sink.planned(row(key))
      await assert.rejects(async () => {
        await sink.drain()
        await sink.flush()
      }, /full_up/)
    } finally {
      await db.pool.query('alter table batch drop constraint full_up')
    }
  })
})
