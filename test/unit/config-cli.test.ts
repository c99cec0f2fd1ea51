import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { configRoutes } from '../../server/api/config-routes.ts'
import { Problem } from '../../server/api/problem.ts'
import { migrate } from '../../state/migrate.ts'
import { freshDatabase, type TestDatabase } from '../harness/database.ts'
import { endOf, startProgram } from '../harness/program.ts'
import { ALL, SYNC, validate, withFolder } from './config-folder.ts'

const TOKEN = 'a-token'

describe('the CLI', () => {
  let database: TestDatabase
  let api: FastifyInstance
  let url = ''
  let connectProblem = ''

  before(async () => {
    database = await freshDatabase()
    await migrate(database.pool)
    api = Fastify()
    api.setErrorHandler((error, _request, reply) => {
      if (!(error instanceof Problem)) throw error
      return reply
        .code(error.status)
        .type('application/problem+json')
        .send({ code: error.code, detail: error.detail, errors: error.errors })
    })
    api.addHook('onRequest', async (request) => {
      if (request.headers.authorization !== `Bearer ${TOKEN}`)
        throw new Problem({ status: 401, code: 'token', detail: 'this token is not known' })
    })
    await api.register(configRoutes, {
      db: database.pool,
      baselineSize: async () => 12,
      connectCheck: async (syncs) =>
        connectProblem === ''
          ? []
          : Object.keys(syncs).map((sync) => ({ level: 'error', sync, pointer: '/fields/email', message: connectProblem })),
      requireScope: () => {},
    })
    url = await api.listen({ host: '127.0.0.1', port: 0 })
  })
  after(async () => {
    await api.close()
    await database.drop()
  })
  beforeEach(async () => {
    connectProblem = ''
    await database.pool.query('truncate resource')
  })

  async function tailrace(args: readonly string[], env: Record<string, string> = {}) {
    const program = startProgram(['--import', 'tsx', 'server/main.ts', ...args], {
      env: { PATH: process.env['PATH'], TAILRACE_URL: url, TAILRACE_API_TOKEN: TOKEN, ...env },
    })
    const { code } = await endOf(program)
    return { code, out: program.stdout(), err: program.stderr() }
  }

  test('validates files without an API', async () => {
    const nowhere = { TAILRACE_URL: 'http://127.0.0.1:1' }
    await withFolder({ 'crm.yaml': ALL }, async (folder) => {
      assert.deepEqual(await tailrace(['validate', folder], nowhere), { code: 0, out: '', err: `4 documents in ${folder}: valid.\n` })
    })
    await withFolder({ 'crm.yaml': ALL.replace('mode: upsert', 'mode: upset') }, async (folder) => {
      const message = 'Sync customers-to-crm: mode: must be one of upsert, update, insert, mirror; did you mean "upsert"?'
      assert.deepEqual(await tailrace(['validate', folder], nowhere), {
        code: 78,
        out: '',
        err: `${folder}/crm.yaml:22:1: ${message}\n1 problem in 1 file.\n`,
      })
      const json = await tailrace(['validate', folder, '--json'], nowhere)
      assert.deepEqual([json.code, json.err], [78, ''])
      assert.deepEqual(JSON.parse(json.out), {
        valid: false,
        problems: [{ file: `${folder}/crm.yaml`, line: 22, column: 1, pointer: '/mode', message }],
        warnings: [],
      })
    })
  })

  test('prints the schema of the documents, with --json or without', async () => {
    const [plain, json] = [await tailrace(['schema']), await tailrace(['schema', '--json'])]
    assert.deepEqual([json.code, json.out], [0, plain.out])
    assert.equal((JSON.parse(json.out) as { title: string }).title, 'Tailrace configuration')
  })

  test('tells a path that is not there from a folder that is empty', async () => {
    await withFolder({ 'readme.md': 'x' }, async (folder) => {
      assert.deepEqual(await tailrace(['validate', `${folder}/nope`]), { code: 64, out: '', err: `${folder}/nope does not exist.\n` })
      const empty = await tailrace(['plan', folder])
      assert.equal(empty.code, 78)
      assert.equal(
        empty.err,
        `${folder} holds no documents: *.yaml or *.yml files with kind Source, Model, Destination, Sync, Notification were expected.\n`,
      )
    })
  })

  test('a dbt model: validate shows what the project says of it, export makes the exposures', async () => {
    const node = {
      resource_type: 'model',
      name: 'customers',
      relation_name: '"dwh"."marts"."customers"',
      columns: { id: { name: 'id', data_type: 'bigint', description: 'Our own number.' } },
    }
    const notNull = {
      resource_type: 'test',
      attached_node: 'model.shop.customers',
      column_name: 'id',
      config: { enabled: true },
      test_metadata: { name: 'not_null', kwargs: { column_name: 'id' } },
    }
    const files = {
      'crm.yaml': ALL.replace('sql: select id, email from customers', 'dbt: { manifest: target/manifest.json, model: customers }'),
      'target/manifest.json': JSON.stringify({ nodes: { 'model.shop.customers': node, 'test.shop.not_null': notNull } }),
    }
    await withFolder(files, async (folder) => {
      const { code, out } = await tailrace(['validate', folder])
      assert.deepEqual(
        [code, out],
        [
          0,
          'Model customers: dbt model.shop.customers, relation "dwh"."marts"."customers"\n' +
            '  primary key id: no dbt test unique (id)\n' +
            '  id  bigint · Our own number.\n',
        ],
      )
      assert.equal((await tailrace(['apply', folder])).code, 0)
    })
    const exported = await tailrace(['export', '--format', 'dbt-exposures', '--json'])
    const { exposures } = JSON.parse(exported.out) as { exposures: { name: string; depends_on: string[] }[] }
    assert.deepEqual(
      exposures.map(({ name, depends_on }) => [name, depends_on]),
      [['tailrace_customers_to_crm', ["ref('shop', 'customers')"]]],
    )
    assert.deepEqual(
      (await validate({ 'all.yaml': (await tailrace(['export'])).out })).lines,
      [],
      'what is exported can be applied without the project',
    )
  })

  test('plans, applies and exports what can be applied again', async () => {
    await withFolder({ 'crm.yaml': ALL }, async (folder) => {
      const plan = await tailrace(['plan', folder])
      assert.deepEqual(
        [plan.code, plan.out],
        [
          2,
          '+ Source warehouse\n+ Destination crm\n+ Model customers\n+ Sync customers-to-crm\n4 to create, 0 to update, 0 to delete, 0 unchanged\n',
        ],
      )
      const apply = await tailrace(['apply', folder])
      assert.deepEqual([apply.code, apply.out.split('\n').length, apply.err], [0, 6, 'Applied.\n'])
      const again = await tailrace(['plan', folder, '--json'])
      assert.deepEqual([again.code, JSON.parse(again.out)], [0, { changes: [], unchanged: 4, effects: [], warnings: [] }])
    })
    const exported = await tailrace(['export'])
    assert.equal(exported.code, 0)
    assert.deepEqual((await validate({ 'all.yaml': exported.out })).lines, [])
    await withFolder({ 'all.yaml': exported.out }, async (folder) => {
      assert.equal((await tailrace(['plan', folder, '--prune'])).code, 0)
    })
    await withFolder(
      { 'crm.yaml': ALL.replace('  email: email', '  email: mail').replace('select id, email', 'select id, mail,\n  email') },
      async (folder) => {
        const { code, out } = await tailrace(['plan', folder])
        assert.equal(code, 2)
        assert.equal(
          out,
          '~ Model customers\n    sql: select id, email from customers → select id, mail, email from customers\n' +
            '~ Sync customers-to-crm\n    fields.email: email → mail\n' +
            '! sync customers-to-crm: the mapping changed, so the next run is full; 12 records will be sent again\n' +
            '0 to create, 2 to update, 0 to delete, 2 unchanged\n',
        )
      },
    )
  })

  test('says by file and line what the API found wrong', async () => {
    await withFolder({ 'sync.yaml': `# only this\n${SYNC}` }, async (folder) => {
      const { code, err } = await tailrace(['apply', folder])
      assert.equal(code, 78)
      assert.equal(
        err,
        `${folder}/sync.yaml:4:1: Sync customers-to-crm: model: there is no Model "customers"; there is no Model at all\n` +
          `${folder}/sync.yaml:5:1: Sync customers-to-crm: destination: there is no Destination "crm"; there is no Destination at all\n` +
          '2 problems in 1 file.\n',
      )
    })
    connectProblem = 'contacts has no field email; near names are e_mail'
    await withFolder({ 'crm.yaml': ALL }, async (folder) => {
      const { code, err } = await tailrace(['validate', folder, '--connect'])
      assert.equal(code, 78)
      assert.equal(
        err,
        `${folder}/crm.yaml:25:3: Sync customers-to-crm: fields.email: contacts has no field email; near names are e_mail\n1 problem in 1 file.\n`,
      )
    })
  })

  test('says how to reach the API', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const address = gone.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise((resolve) => gone.close(resolve))
    await withFolder({ 'crm.yaml': ALL }, async (folder) => {
      const refused = await tailrace(['plan', folder], { TAILRACE_URL: `http://127.0.0.1:${port}/` })
      assert.equal(refused.code, 1)
      assert.equal(
        refused.err,
        `The API at http://127.0.0.1:${port} cannot be reached (ECONNREFUSED). Start it with \`tailrace dev\` or \`tailrace api\`, or set TAILRACE_URL to where it runs.\n`,
      )
      const unknown = await tailrace(['plan', folder], { TAILRACE_API_TOKEN: 'other' })
      assert.deepEqual(
        [unknown.code, unknown.err],
        [78, `this token is not known (set TAILRACE_API_TOKEN to a token of the API at ${url})\n`],
      )
    })
  })
})
