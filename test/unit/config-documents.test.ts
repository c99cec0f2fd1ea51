import assert from 'node:assert/strict'
import { symlink, writeFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { PathError, readConfiguration } from '../../server/config/documents.ts'
import { ALL, DESTINATION, MODEL, SOURCE, SYNC, validate, withFolder } from './config-folder.ts'

async function linesOf(text: string): Promise<string[]> {
  return (await validate({ 'crm.yaml': text })).lines
}

describe('documents', () => {
  test('of a folder are read at any depth, one or many a file', async () => {
    const { lines, configuration } = await validate({
      'a/warehouse.yml': `# yaml-language-server: $schema=x\n---\n${SOURCE}---\n`,
      'b.yaml': [`version: 1\n${MODEL}`, DESTINATION, SYNC].join('---\n'),
      'notes.txt': 'kind: Nonsense',
      '.hidden/x.yaml': 'kind: Nonsense',
    })
    assert.deepEqual(lines, [])
    assert.deepEqual(
      configuration.given.map(({ resource }) => `${resource.kind} ${resource.name}`),
      ['Source warehouse', 'Model customers', 'Destination crm', 'Sync customers-to-crm'],
    )
    assert.deepEqual(configuration.given[1]?.resource.spec, {
      source: 'warehouse',
      sql: 'select id, email from customers',
      primaryKey: 'id',
    })
  })

  test('of a mounted ConfigMap are read once', async () => {
    await withFolder({}, async (folder) => {
      await mkdir(join(folder, '..2026'))
      await writeFile(join(folder, '..2026', 'all.yaml'), ALL)
      await symlink('..2026', join(folder, '..data'))
      await symlink('..data/all.yaml', join(folder, 'all.yaml'))
      const { documents, problems } = await readConfiguration(folder)
      assert.deepEqual(problems, [])
      assert.equal(documents.length, 4)
    })
  })

  test('are asked for in a path that is there', async () => {
    await withFolder({}, async (folder) => {
      await assert.rejects(
        readConfiguration(join(folder, 'nope')),
        (error) => error instanceof PathError && error.message === `${folder}/nope does not exist`,
      )
    })
  })

  test('that are no YAML are told with the place, one error a file', async () => {
    const { lines } = await validate({
      'crm.yaml': `kind: Source\n\tname: x\n`,
      'open.yaml': 'kind: Model\nname: "x\n',
      'twice.yaml': 'kind: Model\nkind: Sync\n',
    })
    assert.deepEqual(lines, [
      'crm.yaml:2:1: this is not valid YAML: Tabs are not allowed as indentation',
      'open.yaml:3:1: this is not valid YAML: Missing closing "quote',
      'twice.yaml:2:1: this is not valid YAML: Map keys must be unique',
    ])
  })

  test('with an unknown key name the file, the line, the key and the nearest known one', async () => {
    assert.deepEqual(await linesOf(ALL.replace('match: email', 'mtach: email')), [
      'crm.yaml:23:1: Sync customers-to-crm: unknown key "mtach"; did you mean "match"?',
    ])
    assert.deepEqual(await linesOf(ALL.replace('sql: select', 'query: select')), [
      'crm.yaml:9:1: Model customers: unknown key "query"; known are source, sql, table, dbtModel, primaryKey',
    ])
    assert.deepEqual(await linesOf(ALL.replace('accessToken:', 'requestsPerSec: 4, accessToken:')), [
      'crm.yaml:15:11: Destination crm: config: unknown key "requestsPerSec"; did you mean "requestsPerSecond"?',
    ])
  })

  test('with a misspelt key that is needed are told once', async () => {
    assert.deepEqual(await linesOf(ALL.replace('destination: crm', 'destinaton: crm')), [
      'crm.yaml:20:1: Sync customers-to-crm: unknown key "destinaton"; did you mean "destination"?',
    ])
  })

  test('with a value of the wrong type say what is wanted and what is there', async () => {
    assert.deepEqual(
      await linesOf(
        ALL.replace('primaryKey: id', 'primaryKey: 1').replace('"${env:HUBSPOT_TOKEN}"', '"${env:HUBSPOT_TOKEN}", timeoutSeconds: "1m"'),
      ),
      [
        'crm.yaml:10:1: Model customers: primaryKey: must be text or a list, but is a number; put it in quotes',
        'crm.yaml:15:48: Destination crm: config.timeoutSeconds: must be a number, but is text',
      ],
    )
  })

  test('of a choice are judged by the branch that is meant', async () => {
    const fields = `fields:
  email: email
  a: { column: x, ifNull: skp }
  b: { colum: x }
  c: { column: x, value: 1 }
  d: {}
  e: [x]
  f: { value: { x: 1 } }
schedule: { every: 15 }
guards: { maxRemoved: many, holdFor: 1 day, emptyModel: holt }
`
    assert.deepEqual(await linesOf(ALL.replace('mode: upsert', 'mode: upset').replace('fields:\n  email: email\n', fields)), [
      'crm.yaml:22:1: Sync customers-to-crm: mode: must be one of upsert, update, insert, mirror; did you mean "upsert"?',
      'crm.yaml:26:19: Sync customers-to-crm: fields.a.ifNull: must be one of clear, skip, reject; did you mean "skip"?',
      'crm.yaml:27:8: Sync customers-to-crm: fields.b: unknown key "colum"; did you mean "column"?',
      'crm.yaml:28:3: Sync customers-to-crm: fields.c: has "column" and "value"; only one of them is allowed',
      'crm.yaml:29:3: Sync customers-to-crm: fields.d: needs one of the keys column, value, template',
      'crm.yaml:30:3: Sync customers-to-crm: fields.e: must be text or a mapping, but is a list',
      'crm.yaml:31:8: Sync customers-to-crm: fields.f.value: must be text or a number or true or false or null, but is a mapping',
      'crm.yaml:32:13: Sync customers-to-crm: schedule.every: must be text, but is a number; put it in quotes',
      'crm.yaml:33:11: Sync customers-to-crm: guards.maxRemoved: must be a percentage such as "20%", or a whole number of records',
      'crm.yaml:33:29: Sync customers-to-crm: guards.holdFor: must be a duration such as 90s, 15m, 24h or 7d',
      'crm.yaml:33:45: Sync customers-to-crm: guards.emptyModel: must be one of hold, allow; did you mean "hold"?',
    ])
  })

  test('need a kind, a name and version 1', async () => {
    const { lines } = await validate({
      'a.yaml': 'kind: Modle\nname: x\n',
      'b.yaml': 'name: x\n',
      'c.yaml': `version: 2\n${SOURCE.replace('warehouse', 'Ware_House')}`,
      'd.yaml': '- kind: Source\n',
    })
    assert.deepEqual(lines, [
      'a.yaml:1:1: kind: unknown kind; it is one of Source, Model, Destination, Sync, Notification; did you mean "Model"?',
      'b.yaml:1:1: "kind" is missing; it is one of Source, Model, Destination, Sync, Notification',
      'c.yaml:1:1: Source: version: must be 1, the only version there is',
      'c.yaml:3:1: Source: name: is not a valid name: lower-case letters, digits and hyphens, 63 at most, the first one a letter or digit',
      'd.yaml:1:1: a document must be a mapping with kind and name',
    ])
  })

  test('must not share kind and name', async () => {
    const { lines } = await validate({ 'a.yaml': SOURCE, 'b.yaml': SOURCE })
    assert.deepEqual(lines, ['b.yaml:2:1: Source warehouse: name: there are two documents of kind Source with the name "warehouse"'])
  })

  test('name connectors that there are, in the role that they have', async () => {
    assert.deepEqual(await linesOf(SOURCE.replace('postgres', 'postgress')), [
      'crm.yaml:3:1: Source warehouse: connector: there is no connector "postgress" for a Source; there are postgres, redshift, snowflake; did you mean "postgres"?',
    ])
    const [line] = await linesOf(SOURCE.replace('postgres', 'webhook'))
    assert.equal(
      line,
      'crm.yaml:3:1: Source warehouse: connector: there is no connector "webhook" for a Source (it is one of a Destination); there are postgres, redshift, snowflake',
    )
  })

  test('keep the digits of constants, or say that they cannot', async () => {
    assert.deepEqual(
      await linesOf(ALL.replace('  email: email', '  email: email\n  n: { value: 9007199254740993 }\n  m: { value: 0.1 }')),
      ['crm.yaml:26:15: this number has more digits than can be kept; put it in quotes'],
    )
  })
})

describe('a model', () => {
  const asFile = (line: string) => ({ 'crm.yaml': ALL.replace('sql: select id, email from customers', line) })
  const manifest = (nodes: Record<string, unknown>) => JSON.stringify({ nodes })
  const dbtModel = (extra: Record<string, unknown>) => ({
    resource_type: 'model',
    name: 'customers',
    database: 'dwh',
    schema: 'marts',
    alias: 'dim_customers',
    ...extra,
  })

  test('takes its SQL from a file beside the document', async () => {
    const { lines, configuration } = await validate({ ...asFile('sqlFile: sql/customers.sql'), 'sql/customers.sql': 'select 1\n' })
    assert.deepEqual(lines, [])
    assert.deepEqual(configuration.given.find(({ resource }) => resource.kind === 'Model')?.resource.spec, {
      source: 'warehouse',
      sql: 'select 1',
      primaryKey: 'id',
    })
  })

  test('whose file is not there is told once', async () => {
    const { lines } = await validate(asFile('sqlFile: customer.sql'))
    assert.deepEqual(lines, ['crm.yaml:9:1: the file customer.sql cannot be read beside this one (ENOENT)'])
  })

  test('takes its relation from a dbt manifest', async () => {
    const found = async (node: unknown, model = 'customers') => {
      const files = {
        ...asFile(`dbt: { manifest: target/manifest.json, model: ${model} }`),
        'target/manifest.json': manifest({ 'model.shop.customers': node }),
      }
      const { lines, configuration } = await validate(files)
      const spec = configuration.given.find(({ resource }) => resource.kind === 'Model')?.resource.spec
      return { lines, table: spec && 'table' in spec ? spec.table : null }
    }
    assert.equal((await found(dbtModel({ relation_name: '"dwh"."marts"."x"' }))).table, '"dwh"."marts"."x"')
    assert.equal((await found(dbtModel({}), 'model.shop.customers')).table, '"dwh"."marts"."dim_customers"')
    assert.deepEqual((await found(dbtModel({}), 'customer')).lines, [
      'crm.yaml:9:40: the manifest has no model "customer"; there are customers',
    ])
    assert.deepEqual((await found(dbtModel({ relation_name: null, config: { materialized: 'ephemeral' } }))).lines, [
      'crm.yaml:9:40: the model "customers" is ephemeral: dbt builds no relation that could be read',
    ])
  })

  test('reads exactly one thing', async () => {
    const lines = async (line: string) => (await validate(asFile(line))).lines
    assert.deepEqual(await lines('sql: select 1\ntable: customers'), [
      'crm.yaml:10:1: Model customers: table: has "sql" and "table"; only one of them is allowed',
    ])
    assert.deepEqual(await lines('sql: select 1\nsqlFile: x.sql'), ['crm.yaml:10:1: has "sql" and "sqlFile"; only one of them is allowed'])
    assert.deepEqual(await lines('# nothing'), ['crm.yaml:6:1: Model customers: says nowhere what to read: give one of sql and table'])
  })
})
