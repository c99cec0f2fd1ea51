import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { GroupedBatches } from '../../activities/plan/grouping.ts'
import { unpackLines, type StagedRecord } from '../../activities/plan/batch.ts'
import { unpack } from '../../state/segment.ts'
import { openState } from '../contract/state-fixture.ts'
import type { TestDatabase } from '../harness/database.ts'
import { hashMatch, openSink, row } from './staging-fixture.ts'

let db: TestDatabase
before(async () => {
  db = await openState()
})
after(() => db.drop())

const record = (key: number): StagedRecord => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(key)
  return { key: bytes, fingerprint: Buffer.alloc(16, 1), match: null, op: 'a', line: String(key), waitMs: 0 }
}

function grouped(limit: number, parents: readonly (string | null)[]) {
  let seq = 0
  const groups = new GroupedBatches(
    'Account.Ext__c',
    { phase: 'upsert', doubtful: false, onBooks: false },
    { limit, hasMatch: false, nextSeq: () => seq++ },
  )
  const full = parents.flatMap((parent, key) => groups.add(record(key), JSON.stringify({ Name: 'n', 'Account.Ext__c': parent })) ?? [])
  return { full, rest: groups.flush() }
}

test('children of one parent lie in one batch; few records make few batches', () => {
  const parents = Array.from({ length: 300 }, (_, key) => `P${key % 60}`)
  const { full, rest } = grouped(200, parents)
  assert.deepEqual([full.length, rest.length], [0, 2])
  const batchesOf = new Map<string, Set<number>>()
  for (const { batch, records } of rest) {
    for (const { line } of records) {
      const parent = parents[Number(line)] ?? ''
      batchesOf.set(parent, (batchesOf.get(parent) ?? new Set()).add(batch.seq))
    }
  }
  assert.equal(batchesOf.size, 60)
  assert.ok([...batchesOf.values()].every((batches) => batches.size === 1))
})

test('a parent with more children than a batch holds gets batches of one affinity; case does not part them', () => {
  const { full, rest } = grouped(
    10,
    Array.from({ length: 35 }, (_, key) => (key % 2 === 0 ? 'BIG' : 'big')),
  )
  assert.deepEqual(
    full.map(({ records }) => records.length),
    [10, 10, 10],
  )
  assert.equal(new Set([...full, ...rest].map(({ batch }) => batch.affinity)).size, 1)
})

test('every batch is in key order and none loses or doubles a record, whatever the parents', () => {
  const parents = Array.from({ length: 1_000 }, (_, key) => (key % 7 === 0 ? null : `P${(key * 7_919) % 311}`))
  const { full, rest } = grouped(20, parents)
  const lines = [...full, ...rest].flatMap(({ batch }) => {
    const keys = unpack(batch.entries).map(({ key }) => key)
    assert.deepEqual(
      keys,
      [...keys].sort((a, b) => a.compare(b)),
    )
    assert.deepEqual([batch.firstKey, batch.lastKey], [keys[0], keys.at(-1)])
    assert.equal(batch.ops.length, batch.size)
    return unpackLines(batch.payload)
  })
  assert.deepEqual(
    lines.map(Number).sort((a, b) => a - b),
    parents.map((_, key) => key),
  )
  assert.ok(full.length + rest.length < 1.5 * (1_000 / 20), `${full.length} + ${rest.length} batches`)
})

test('staged in groups, a shared match value is still found in the batch that writes it', async () => {
  await openSink(
    db.pool,
    async ({ sink, tables, read }) => {
      for (const [index, key] of ['a', 'b', 'c', 'd', 'e'].entries()) {
        const match = key === 'e' ? 'a@x' : `${key}@x`
        sink.planned(row(key, { match, fields: JSON.stringify({ email: match, parent: index % 2 === 0 ? 'P' : 'Q' }) }))
      }
      await sink.flush()
      const batches = await read()
      assert.deepEqual(batches.flatMap(({ keys }) => keys).sort(), ['a', 'b', 'c', 'd', 'e'])
      const shared = await tables.takeBackShared()
      assert.deepEqual(shared.map(({ key }) => key.toString()).sort(), ['a', 'e'])
      for (const { key, seq } of shared) {
        const holding = batches.find(({ kind }) => kind.startsWith(`upsert ${seq} `))
        assert.ok(holding?.keys.includes(key.toString()), `batch ${seq} writes ${key.toString()}`)
      }
      assert.ok(sink.matchFilter.mayHave(hashMatch('a@x')))
    },
    { groupBy: 'parent' },
  )
})
