import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FaultScript, parseFaults } from '../../connectors/sandbox/faults.ts'
import { WriteLog } from '../../connectors/sandbox/write-log.ts'

describe('fault script', () => {
  it('strikes at the nth matching request, `times` in all, the first due fault wins', () => {
    const script = new FaultScript()
    script.add(
      parseFaults({
        faults: [
          { on: 'webhook', do: 'drop_after', nth: 2, times: 2 },
          { on: 'webhook', method: 'POST', path: '/in', do: 'slow', nth: 3 },
          { on: 'hubspot', path: 'batch/(upsert|update)$', do: 'html', times: 'always' },
        ],
      }),
    )
    const strikes = [1, 2, 3, 4].map(() => script.next('webhook', 'POST', '/in/1')?.do ?? null)
    assert.deepEqual(strikes, [null, 'drop_after', 'drop_after', null])
    assert.equal(script.next('hubspot', 'POST', '/crm/v3/objects/contacts/batch/upsert')?.do, 'html')
    assert.equal(script.next('hubspot', 'POST', '/crm/v3/objects/contacts/batch/read'), null)
    script.clear()
    assert.equal(script.next('hubspot', 'POST', '/crm/v3/objects/contacts/batch/upsert'), null)
  })

  it('names what is wrong with a script', () => {
    assert.throws(() => parseFaults({ faults: [{ on: 'webhook', do: 'explode' }] }), /faults\/faults\/0\/do/)
    assert.throws(() => parseFaults({ faults: [{ on: 'webhook', do: 'html', typo: 1 }] }))
    assert.throws(() => parseFaults({ faults: [{ on: 'webhook', do: 'html', path: '(' }] }))
  })
})

describe('write log', () => {
  it('with record ids, an id counts once; without, the same content again is a repeat', () => {
    const log = new WriteLog()
    const write = { object: 'contacts', key: 'k' }
    const said = [
      log.applied({ ...write, content: 'A' }),
      log.applied({ ...write, content: 'A' }),
      log.applied({ ...write, content: 'B' }),
      log.applied({ ...write, content: 'A' }),
      log.applied({ ...write, recordId: 'v1', content: 'A' }),
      log.applied({ ...write, recordId: 'v1', content: 'A' }),
      log.applied({ ...write, recordId: 'v2', content: null }),
    ]
    assert.deepEqual(said, ['effective', 'repeated', 'effective', 'effective', 'effective', 'repeated', 'effective'])
    const { totals, writes } = log.report(1)
    assert.deepEqual(totals, { records: 1, effective: 5, repeated: 2 })
    assert.deepEqual(
      writes.map(({ recordId, effective, repeated }) => [recordId, effective, repeated]),
      [
        [null, 2, 1],
        [null, 1, 0],
        ['v1', 1, 1],
        ['v2', 1, 0],
      ],
    )
  })
})
