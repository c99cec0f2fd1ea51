import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { findDbtModel, missingKeyTests, type DbtModel } from '../../server/config/dbt.ts'
import { dbtExposures } from '../../server/config/dbt-exposures.ts'

const ID = 'model.shop.customers'

/** A generic test as dbt 1.8 writes it into target/manifest.json (schema version 12). */
function generic(name: string, column: string | null, more: Record<string, unknown> = {}): Record<string, unknown> {
  const { config, kwargs, ...rest } = { config: {}, kwargs: {}, ...more }
  return {
    resource_type: 'test',
    column_name: column,
    attached_node: ID,
    depends_on: { macros: [], nodes: [ID] },
    config: { enabled: true, where: null, severity: 'ERROR', ...config },
    test_metadata: {
      name,
      namespace: null,
      kwargs: { column_name: column, model: '{{ get_where_subquery(ref("customers")) }}', ...kwargs },
    },
    ...rest,
  }
}

function model(...tests: Record<string, unknown>[]): DbtModel {
  const nodes = {
    [ID]: {
      resource_type: 'model',
      name: 'customers',
      relation_name: '"dwh"."marts"."customers"',
      columns: {
        id: { name: 'ID', data_type: 'bigint', description: 'Our own number.' },
        email: { name: 'email', data_type: null, description: '' },
      },
    },
    ...Object.fromEntries(tests.map((node, i) => [`test.shop.t${i}`, node])),
  }
  const found = findDbtModel({ nodes }, 'customers')
  assert.ok(!('wrong' in found))
  return found
}

describe('a dbt model', () => {
  test('names its relation and its columns', () => {
    const { id, relation, columns } = model()
    assert.deepEqual([id, relation], [ID, '"dwh"."marts"."customers"'])
    assert.deepEqual(columns, [
      { name: 'ID', type: 'bigint', description: 'Our own number.' },
      { name: 'email', type: null, description: '' },
    ])
  })

  const cases: [what: string, tests: Record<string, unknown>[], key: string[], missing: string[]][] = [
    ['both tests', [generic('unique', 'id'), generic('not_null', 'ID')], ['id'], []],
    ['none', [], ['id'], ['unique (id)', 'not_null (id)']],
    ['of another column', [generic('unique', 'email'), generic('not_null', 'email')], ['id'], ['unique (id)', 'not_null (id)']],
    ['of another model', [generic('unique', 'id', { attached_node: 'model.shop.orders' })], ['id'], ['unique (id)', 'not_null (id)']],
    ['older manifests attach nothing', [generic('unique', 'id', { attached_node: undefined })], ['id'], ['not_null (id)']],
    ['over some rows only', [generic('unique', 'id', { config: { where: 'id > 0' } })], ['id'], ['unique (id)', 'not_null (id)']],
    ['turned off', [generic('not_null', 'id', { config: { enabled: false } })], ['id'], ['unique (id)', 'not_null (id)']],
    ['other tests', [generic('accepted_values', 'id')], ['id'], ['unique (id)', 'not_null (id)']],
    [
      'a composite key',
      [generic('unique_combination_of_columns', null, { kwargs: { combination_of_columns: ['B', 'a'] } }), generic('not_null', 'a')],
      ['a', 'b'],
      ['not_null (b)'],
    ],
    ['a composite key with one column that is unique', [generic('unique', 'a')], ['a', 'b'], ['not_null (a)', 'not_null (b)']],
  ]
  for (const [what, tests, key, missing] of cases) {
    test(`tests of the primary key: ${what}`, () => assert.deepEqual(missingKeyTests(model(...tests), key), missing))
  }
})

test('exposures: one for every sync on a dbt model', () => {
  const documents = parse(`
- { kind: Model, name: customers, table: a.b, dbtModel: model.shop.customers }
- { kind: Model, name: plain, table: a.c }
- { kind: Model, name: orders, table: a.d, dbtModel: model.shop.orders.v2 }
- { kind: Sync, name: customers-to-crm, model: customers, destination: crm, object: contacts, mode: upsert }
- { kind: Sync, name: plain-to-crm, model: plain, destination: crm, mode: upsert }
- { kind: Sync, name: orders-out, model: orders, destination: hook, mode: mirror }
`) as Record<string, unknown>[]
  assert.deepEqual(dbtExposures(documents), [
    {
      name: 'tailrace_customers_to_crm',
      label: 'Tailrace: customers-to-crm',
      type: 'application',
      description: 'Tailrace sync customers-to-crm: upsert into destination crm, object contacts.',
      depends_on: ["ref('shop', 'customers')"],
      owner: { name: 'Tailrace' },
    },
    {
      name: 'tailrace_orders_out',
      label: 'Tailrace: orders-out',
      type: 'application',
      description: 'Tailrace sync orders-out: mirror into destination hook.',
      depends_on: ["ref('shop', 'orders', v=2)"],
      owner: { name: 'Tailrace' },
    },
  ])
})
