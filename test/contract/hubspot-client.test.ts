import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Client } from '@hubspot/api-client'
import {
  BatchInputSimplePublicObjectBatchInputUpsert as UpsertInput,
  BatchInputSimplePublicObjectId as Ids,
  BatchReadInputSimplePublicObjectId as ReadInput,
  SimplePublicObjectBatchInputUpsert as Upsert,
  SimplePublicObjectId as Id,
  SimplePublicObjectInputForCreate as Create,
} from '@hubspot/api-client/lib/codegen/crm/contacts/index.js'
import { startSandbox } from '../../connectors/sandbox/start.ts'

describe('the stand-in under HubSpot’s own client', { timeout: 60_000 }, () => {
  it('takes upserts, reads, property and schema lists, creates and archives, and refuses in the shapes the client knows', async () => {
    const sandbox = await startSandbox()
    try {
      const client = new Client({ accessToken: 'pat-test', basePath: `${sandbox.url}/hubspot`, numberOfApiCallRetries: 0 })
      const { contacts, properties } = client.crm

      const upsert = (email: string, plan: string, objectWriteTraceId: string) =>
        Object.assign(new Upsert(), { id: email, idProperty: 'email', objectWriteTraceId, properties: { email, plan } })
      const inputs = [upsert('Ada@example.com', 'pro', 't1'), upsert('bob@example.com', 'gold', 't2')]
      const written = await contacts.batchApi.upsert(Object.assign(new UpsertInput(), { inputs }))
      assert.equal(written.status, 'COMPLETE')
      assert.equal(written.results.length, 1)
      const [ada] = written.results
      assert.ok(ada)
      assert.deepEqual([ada._new, ada.objectWriteTraceId, ada.properties['email']], [true, 't1', 'ada@example.com'])
      assert.ok(ada.createdAt instanceof Date)
      assert.ok('errors' in written && Array.isArray(written.errors))
      assert.deepEqual(
        [written.numErrors, written.errors[0]?.category, written.errors[0]?.context['objectWriteTraceId']],
        [1, 'VALIDATION_ERROR', ['t2']],
      )
      assert.match(written.errors[0]?.message ?? '', /INVALID_OPTION/)

      const byEmail = (email: string) => {
        const wanted = [Object.assign(new Id(), { id: email })]
        return Object.assign(new ReadInput(), { idProperty: 'email', properties: ['plan'], propertiesWithHistory: [], inputs: wanted })
      }
      const read = await contacts.batchApi.read(byEmail('ADA@example.com'))
      assert.deepEqual(
        read.results.map((record) => [record.id, record.properties['plan']]),
        [[ada.id, 'pro']],
      )

      const all = await properties.coreApi.getAll('contacts')
      const email = all.results.find(({ name }) => name === 'email')
      assert.deepEqual([email?.type, email?.modificationMetadata?.readOnlyValue], ['string', false])
      assert.deepEqual(
        all.results.find(({ name }) => name === 'plan')?.options.map(({ value }) => value),
        ['free', 'pro', 'enterprise'],
      )
      assert.deepEqual((await client.crm.schemas.coreApi.getAll()).results, [])

      const clash = await contacts.basicApi
        .create(Object.assign(new Create(), { properties: { email: 'ada@example.com' }, associations: [] }))
        .catch((error: unknown) => error)
      assert.ok(clash instanceof Error && 'code' in clash)
      assert.equal(clash.code, 409)

      await contacts.batchApi.archive(Object.assign(new Ids(), { inputs: [Object.assign(new Id(), { id: ada.id })] }))
      const gone = await contacts.batchApi.read(byEmail('ada@example.com'))
      assert.deepEqual(gone.results, [])
      const report = sandbox.state.standIns.get('hubspot')?.report()
      assert.deepEqual(report?.totals, { records: 0, effective: 2, repeated: 0 })
    } finally {
      await sandbox.close()
    }
  })
})
