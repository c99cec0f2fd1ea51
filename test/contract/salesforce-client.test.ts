import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import jsforce from 'jsforce'
import { startSandbox } from '../../connectors/sandbox/start.ts'

describe('the stand-in under jsforce', { timeout: 60_000 }, () => {
  it('logs in, describes, upserts, queries over pages, creates, updates, deletes, and refuses in the shapes that the client knows', async () => {
    const sandbox = await startSandbox()
    try {
      const standIn = sandbox.state.standIns.get('salesforce')
      const loginUrl = `${sandbox.url}/salesforce`
      const connection = new jsforce.Connection({ oauth2: { loginUrl, clientId: 'client', clientSecret: 'secret' }, version: '66.0' })
      const user = await connection.authorize({ grant_type: 'client_credentials' })
      assert.equal(user.organizationId, '00D000000000001EAA')
      assert.equal(connection.instanceUrl, loginUrl)

      const { sobjects } = await connection.describeGlobal()
      assert.ok(sobjects.some(({ name, keyPrefix }) => name === 'Account' && keyPrefix === '001'))
      const account = await connection.sobject('Account').describe()
      const external = account.fields.find(({ name }) => name === 'External_Id__c')
      assert.deepEqual([external?.externalId, external?.unique, external?.caseSensitive, external?.length], [true, true, false, 191])

      const records = [
        { External_Id__c: 'A-1', Name: 'Ada', Plan__c: 'pro' },
        { External_Id__c: 'A-2', Name: 'Bob', Plan__c: 'gold' },
        { External_Id__c: 'A-3', Name: 'Cyd' },
      ]
      const upserted = await connection.sobject('Account').upsert(records, 'External_Id__c')
      assert.ok(Array.isArray(upserted))
      assert.deepEqual(
        upserted.map(({ success }) => success),
        [true, false, true],
      )
      // The client's types say `errorCode`; Salesforce answers `statusCode`.
      assert.match(JSON.stringify(upserted[1]?.errors), /"statusCode":"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"/)

      standIn?.configure?.({ queryPageSize: 1 })
      const found = await connection.query<{ Id: string; Name: string }>(
        "SELECT Id, Name FROM Account WHERE External_Id__c IN ('a-1','A-3')",
        {
          autoFetch: true,
          maxFetch: 10,
        },
      )
      assert.deepEqual(found.records.map(({ Name }) => Name).sort(), ['Ada', 'Cyd'])

      const contact = await connection.sobject('Contact').create({ LastName: 'Lovelace', Account: { External_Id__c: 'A-1' } })
      assert.equal(contact.success, true)
      await assert.rejects(connection.sobject('Account').create({ Website: 'https://example.com' }), {
        errorCode: 'REQUIRED_FIELD_MISSING',
      })
      await assert.rejects(connection.sobject('Nothing__c').describe(), { errorCode: 'NOT_FOUND' })
      await assert.rejects(async () => connection.query('SELECT Nothing__c FROM Account'), { errorCode: 'INVALID_FIELD' })

      const ids = found.records.map(({ Id }) => Id)
      const updated = await connection.sobject('Account').update(ids.map((Id) => ({ Id, Industry: 'Energy' })))
      assert.ok(updated.every(({ success }) => success))
      const deleted = await connection.sobject('Account').destroy(ids)
      assert.ok(deleted.every(({ success }) => success))
      assert.equal(standIn?.report().totals.records, 1)
      assert.equal(connection.limitInfo.apiUsage?.limit, 15_000)
    } finally {
      await sandbox.close()
    }
  })
})
