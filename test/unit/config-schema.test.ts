import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parseAllDocuments } from 'yaml'
import { documentsSchema } from '../../server/config/json-schema.ts'
import { ALL } from './config-folder.ts'

test('the published JSON Schema is what `tailrace schema` prints', async () => {
  const published: unknown = JSON.parse(await readFile(new URL('../../infra/schema/tailrace.schema.json', import.meta.url), 'utf8'))
  assert.deepEqual(published, documentsSchema(), 'run `npx tailrace schema > infra/schema/tailrace.schema.json` and commit the file')
})

test('the JSON Schema takes right documents and refuses wrong ones', () => {
  const validate = new Ajv({ strict: false }).compile(documentsSchema())
  const documents: unknown[] = parseAllDocuments(ALL).map((document) => document.toJS() as unknown)
  for (const document of documents) assert.ok(validate(document), JSON.stringify(validate.errors))
  const hook = {
    kind: 'Destination',
    name: 'h',
    connector: 'webhook',
    config: { url: '${env:U}', secret: '${env:S}', batchSize: '${env:N}' },
  }
  assert.ok(validate(hook), JSON.stringify(validate.errors))
  const model = { kind: 'Model', name: 'm', source: 's', primaryKey: 'id' }
  for (const form of [{ sqlFile: 'a.sql' }, { dbt: { manifest: 'm.json', model: 'x' } }])
    assert.ok(validate({ version: 1, ...model, ...form }), JSON.stringify(validate.errors))
  const wrong = [
    { ...hook, config: { ...hook.config, batchSize: 'many' } },
    { ...hook, config: { ...hook.config, batchSise: 4 } },
    { ...hook, connector: 'hubspott' },
    model,
    { ...model, sql: 'select 1', table: 't' },
    { kind: 'Sync', name: 'x' },
    { kind: 'Nothing', name: 'x' },
  ]
  for (const document of wrong) assert.ok(!validate(document), JSON.stringify(document))
})
