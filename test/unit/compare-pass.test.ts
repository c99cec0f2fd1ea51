import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { KeyCodec } from '../../connectors/keys.ts'
import type { Reading, RowBlock } from '../../connectors/source-contract.ts'
import { BaselineReader } from '../../state/baseline.ts'
import { compactBaseline, insertSegments } from '../../state/compaction.ts'
import { migrate } from '../../state/migrate.ts'
import { REMOVED, SegmentWriter, unpack } from '../../state/segment.ts'
import { fingerprinter } from '../../activities/plan/fingerprint.ts'
import { ComparePass } from '../../activities/plan/pass.ts'
import type { PlanSink } from '../../activities/plan/plan-sink.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'

let db: TestDatabase
const codec = new KeyCodec(['int64'])

before(async () => {
  db = await freshDatabase()
  await migrate(db.pool)
  await db.pool.query(`insert into sync_state (sync) values ('s')`)
})
after(() => db.drop())

/** Rows as a source would give them, in blocks of `size`. */
function reading(rows: readonly [number, string][], size: number): Reading {
  return {
    keyCodec: codec,
    async *blocks(): AsyncGenerator<RowBlock> {
      for (let at = 0; at < rows.length; at += size) {
        const some = rows.slice(at, at + size)
        const keys = Buffer.concat(some.map(([key]) => codec.encode([String(key)])))
        const lines = some.map(([key, value]) => Buffer.from(`${key}\t${value}\n`))
        const rowOffsets = Uint32Array.from([0, ...lines.map((_, i) => lines.slice(0, i + 1).reduce((sum, line) => sum + line.length, 0))])
        yield {
          length: some.length,
          keys,
          keyOffsets: Uint32Array.from([...some.keys(), some.length].map((i) => i * 8)),
          nullKeys: null,
          rows: Buffer.concat(lines),
          rowOffsets,
        }
      }
    },
    decode: (row) => [row.toString().trimEnd().split('\t')[1] ?? null],
    decodeKey: (row) => [row.toString().split('\t')[0] ?? null],
  }
}

async function outcome(rows: readonly [number, string][], generation: number, blockSize: number) {
  const found = { added: [] as number[], changed: [] as number[], removed: [] as number[], twins: [] as string[] }
  const sink: PlanSink = {
    full: false,
    drain: async () => {},
    planned: (row) => found[row.op].push(Number(row.keyTexts[0])),
    removal: (candidate) => found.removed.push(Number(candidate.keyTexts[0])),
    invalid: (row) => found.twins.push(`${row.keyTexts[0]} ${row.op}`),
  }
  const client = await db.pool.connect()
  await client.query('begin isolation level repeatable read read only')
  const baseline = new BaselineReader(client, { sync: 's', generation, cursorName: 'b' })
  const map = () => ({ fields: '{}', match: null })
  try {
    const pass = new ComparePass({
      reading: reading(rows, blockSize),
      baseline,
      books: null,
      sink,
      map,
      fingerprint: await fingerprinter('00'.repeat(16)),
      full: false,
      mirror: true,
      hasMatch: false,
      differences: null,
    })
    await pass.run(() => false)
    return { found, counts: pass.counts }
  } finally {
    client.release(true)
  }
}

const model = fc.uniqueArray(fc.tuple(fc.integer({ min: -40, max: 40 }), fc.constantFrom('a', 'b', 'c')), {
  selector: ([key]) => key,
  maxLength: 40,
})

test('compare finds exactly what differs from the acknowledged history, before and after compaction', async () => {
  const fingerprint = await fingerprinter('00'.repeat(16))
  let generation = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(model, { maxLength: 4 }),
      model,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 9 }),
      async (history, now, segmentSize, blockSize) => {
        generation++
        const acknowledged = new Map<number, string>()
        let seq = 0
        const client = await db.pool.connect()
        for (const version of history) {
          // What a run would settle: the differences, in segments of a few keys, removals as zeros.
          const wanted = new Map(version)
          const keys = [...new Set([...wanted.keys(), ...acknowledged.keys()])]
            .filter((key) => wanted.get(key) !== acknowledged.get(key))
            .sort((a, b) => a - b)
          for (let at = 0; at < keys.length; at += segmentSize) {
            const writer = new SegmentWriter(false)
            for (const key of keys.slice(at, at + segmentSize)) {
              const value = wanted.get(key)
              writer.add(codec.encode([String(key)]), value === undefined ? REMOVED : fingerprint(Buffer.from(`${key}\t${value}\n`)), null)
            }
            const block = writer.take()
            if (block) await insertSegments(client, { sync: 's', generation, seq: ++seq, blocks: [block] })
          }
          acknowledged.clear()
          for (const [key, value] of version) acknowledged.set(key, value)
        }
        const rows = [...now].sort(([a], [b]) => a - b)
        const sorted = (keys: number[]) => [...keys].sort((a, b) => a - b)
        const expected = {
          added: sorted(rows.filter(([key]) => !acknowledged.has(key)).map(([key]) => key)),
          changed: sorted(rows.filter(([key, value]) => acknowledged.has(key) && acknowledged.get(key) !== value).map(([key]) => key)),
          removed: sorted([...acknowledged.keys()].filter((key) => !rows.some(([present]) => present === key))),
          twins: [],
        }
        const before = await outcome(rows, generation, blockSize)
        assert.deepEqual(before.found, expected)
        assert.equal(before.counts.baseline, acknowledged.size)
        await compactBaseline(client, 's', generation, () => {})
        client.release()
        const compacted = await outcome(rows, generation, blockSize)
        assert.deepEqual(compacted, before)
        const { rows: segments } = await db.pool.query<{ entries: Buffer }>(
          `select entries from baseline_segment where sync = 's' and generation = $1`,
          [generation],
        )
        assert.equal(
          segments.reduce((sum, { entries }) => sum + unpack(entries).length, 0),
          acknowledged.size,
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('every row of a key that occurs more than once is invalid, and nothing is removed for it', async () => {
  const writer = new SegmentWriter(false)
  for (const key of [1, 2, 3]) writer.add(codec.encode([String(key)]), Buffer.alloc(16, key), null)
  const client = await db.pool.connect()
  const block = writer.take()
  assert.ok(block)
  await insertSegments(client, { sync: 's', generation: 9_999, seq: 1, blocks: [block] })
  client.release()
  for (const blockSize of [1, 2, 3, 10]) {
    const { found } = await outcome(
      [
        [1, 'x'],
        [2, 'x'],
        [2, 'y'],
        [2, 'x'],
        [4, 'x'],
        [5, 'x'],
        [5, 'x'],
      ],
      9_999,
      blockSize,
    )
    assert.deepEqual(found, {
      added: [4],
      changed: [1],
      removed: [3],
      twins: ['2 changed', '2 changed', '2 changed', '5 added', '5 added'],
    })
  }
})

test('rows out of key order end the plan: a wrong collation must not look like deletions', async () => {
  await assert.rejects(
    outcome(
      [
        [2, 'x'],
        [1, 'x'],
      ],
      9_998,
      10,
    ),
    /did not come in key order/,
  )
})
