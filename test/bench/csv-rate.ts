import type pg from 'pg'
import { unpackLines } from '../../activities/plan/batch.ts'
import { bulkShape, recordLine } from '../../connectors/salesforce/bulk-csv.ts'
import type { SalesforceObject } from '../../connectors/salesforce/object.ts'
import { readRecords } from '../../connectors/salesforce/record.ts'

const BATCHES = 500

/** Records a second from frozen bytes to lines of CSV, in this process: what an upload costs beside reading and sending. */
export async function csvRate(state: pg.Pool, fields: readonly string[], match: string): Promise<number> {
  const { rows } = await state.query<{ payload: Buffer }>(`select payload from batch where phase = 'upsert' order by id limit $1`, [
    BATCHES,
  ])
  const object: SalesforceObject = {
    name: 'Account',
    keyPrefix: '001',
    createable: true,
    updateable: true,
    deletable: true,
    fields: new Map(),
  }
  const shape = bulkShape({ object: 'Account', mode: 'upsert', match, op: 'upsert', fields }, object)
  let [records, bytes] = [0, 0]
  const startedMs = performance.now()
  for (const { payload } of rows) {
    const planned = unpackLines(payload).map((line) => ({ id: line.slice(7, 39), op: 'upsert' as const, line }))
    let text = ''
    for (const record of readRecords(planned, match, object)) text += recordLine(record, shape, null) ?? ''
    bytes += Buffer.from(text).length
    records += planned.length
  }
  if (bytes === 0) throw new Error('there are no batches to measure')
  return records / ((performance.now() - startedMs) / 1000)
}
