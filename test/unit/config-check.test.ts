import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cronProblem, timezoneProblem } from '../../server/config/cron.ts'
import { ALL, DESTINATION, MODEL, SOURCE, SYNC, validate } from './config-folder.ts'

async function sync(change: (text: string) => string): Promise<string[]> {
  const { lines } = await validate({ 'a.yaml': [SOURCE, MODEL, DESTINATION].join('---\n'), 'sync.yaml': change(SYNC) })
  return lines
}

describe('documents together', () => {
  test('name what there is', async () => {
    assert.deepEqual(
      await sync((text) => text.replace('model: customers', 'model: customer').replace('destination: crm', 'destination: cmr')),
      [
        'sync.yaml:3:1: Sync customers-to-crm: model: there is no Model "customer"; there are customers',
        'sync.yaml:4:1: Sync customers-to-crm: destination: there is no Destination "cmr"; there are crm',
      ],
    )
    assert.deepEqual((await validate({ 'a.yaml': MODEL })).lines, [
      'a.yaml:3:1: Model customers: source: there is no Source "warehouse"; there is no Source at all',
    ])
  })

  test('are not told that something is missing which is only wrong', async () => {
    const { lines } = await validate({ 'a.yaml': ALL.replace('primaryKey: id', 'primarykey: id') })
    assert.deepEqual(lines, ['a.yaml:10:1: Model customers: unknown key "primarykey"; did you mean "primaryKey"?'])
  })

  test('need object and match where the connector does', async () => {
    assert.deepEqual(await sync((text) => text.replace('object: contacts\n', '').replace('match: email\n', '')), [
      'sync.yaml:1:1: Sync customers-to-crm: "object" is missing; a sync to hubspot must name the object it writes',
      'sync.yaml:1:1: Sync customers-to-crm: "match" is missing; a sync to hubspot must name the unique field that identifies a record',
    ])
  })

  test('with mode insert need a unique match field', async () => {
    assert.deepEqual(await sync((text) => text.replace('mode: upsert\nmatch: email', 'mode: insert')), [
      'sync.yaml:1:1: Sync customers-to-crm: "match" is missing; a sync to hubspot must name the unique field that identifies a record, with mode insert as well: without it a repeated request would create a record twice',
    ])
  })

  test('send to a webhook without object and match', async () => {
    const hook = 'kind: Destination\nname: crm\nconnector: webhook\nconfig: { url: https://x.example, secret: "${env:S}" }\n'
    const bare = SYNC.replace('object: contacts\n', '').replace('match: email\n', '')
    assert.deepEqual((await validate({ 'a.yaml': [SOURCE, MODEL, hook, bare].join('---\n') })).lines, [])
  })

  test('match by a mapped field that differs from record to record', async () => {
    assert.deepEqual(await sync((text) => text.replace('match: email', 'match: emial')), [
      'sync.yaml:7:1: Sync customers-to-crm: match: "emial" is not mapped; match must be one of the fields: email; did you mean "email"?',
    ])
    assert.deepEqual(await sync((text) => text.replace('  email: email', '  email: { value: x }')), [
      'sync.yaml:7:1: Sync customers-to-crm: match: "email" is the same constant for every record, so it identifies none',
    ])
  })

  test('have templates that parse, told with the place in the template', async () => {
    assert.deepEqual(
      await sync((text) => `${text}  name: { template: "{{ first | shout }}" }\n  open: { template: "a\\n {% if x %}" }\n`),
      [
        'sync.yaml:10:11: Sync customers-to-crm: fields.name.template: the template does not parse: undefined filter: shout (line 1, column 1 of the template)',
        'sync.yaml:11:11: Sync customers-to-crm: fields.open.template: the template does not parse: tag {% if x %} not closed (line 2, column 2 of the template)',
      ],
    )
  })

  test('have schedules that exist', async () => {
    assert.deepEqual(await sync((text) => `${text}schedule: { cron: "0 25 * * *", timezone: Europe/Berlim }\n`), [
      'sync.yaml:10:13: Sync customers-to-crm: schedule.cron: "25" is no hour: 0 to 23, with * , - and /',
      'sync.yaml:10:33: Sync customers-to-crm: schedule.timezone: is no time zone; did you mean "Europe/Berlin"?',
    ])
    assert.deepEqual(await sync((text) => `${text}schedule: { after: customers-to-crm }\n`), [
      'sync.yaml:10:13: Sync customers-to-crm: schedule.after: a sync cannot follow itself',
    ])
    assert.deepEqual(await sync((text) => `${text}schedule: { after: nobody }\n`), [
      'sync.yaml:10:13: Sync customers-to-crm: schedule.after: there is no Sync "nobody"; there are customers-to-crm',
    ])
  })

  // A run that was parked until no date there is could neither be shown nor approved.
  test('hold no longer than there are dates', async () => {
    assert.deepEqual(await sync((text) => `${text}guards: { holdFor: 87600h }\n`), [])
    assert.deepEqual(await sync((text) => `${text}guards: { holdFor: 99999999999999999999s }\n`), [
      'sync.yaml:10:11: Sync customers-to-crm: guards.holdFor: must not be longer than 3650d',
    ])
  })

  test('do not follow each other in a circle', async () => {
    const named = (name: string, after: string) => `${SYNC.replace('customers-to-crm', name)}schedule: { after: ${after} }\n`
    const { lines } = await validate({
      'a.yaml': [SOURCE, MODEL, DESTINATION, named('a', 'b'), named('b', 'c'), named('c', 'b')].join('---\n'),
    })
    assert.deepEqual(lines, [
      'a.yaml:37:13: Sync b: schedule.after: the syncs follow each other in a circle: b after c after b',
      'a.yaml:48:13: Sync c: schedule.after: the syncs follow each other in a circle: c after b after c',
    ])
  })

  test('that mirror into an object which another sync feeds are warned', async () => {
    const second = SYNC.replace('customers-to-crm', 'leads').replace('destination: crm', 'destination: crm2')
    const files = [SOURCE, MODEL, DESTINATION, DESTINATION.replace('name: crm', 'name: crm2'), SYNC.replace('upsert', 'mirror'), second]
    const { lines, configuration } = await validate({ 'a.yaml': files.join('---\n') })
    assert.deepEqual(lines, [
      'a.yaml:22:1: Sync customers-to-crm: mode mirror, and leads feeds the object contacts of the same account too: a record that both write is removed when it leaves this model',
    ])
    assert.deepEqual(configuration.problems, [])
  })

  test('crossing guards stay within 100%', async () => {
    assert.deepEqual(await sync((text) => `${text}guards: { maxChanged: "100.5%" }\n`), [
      'sync.yaml:10:11: Sync customers-to-crm: guards.maxChanged: must not be more than 100%',
    ])
  })
})

describe('a cron line', () => {
  test('is what Temporal understands', () => {
    for (const good of ['* * * * *', '*/15 0-6,22 1 jan-mar MON', '0 6 * * 7', '@daily', ' 0  6 * * 1-5 '])
      assert.equal(cronProblem(good), null, good)
    for (const bad of ['60 * * * *', '* * 0 * *', '* * * 13 *', '* * * * 8', '*/0 * * * *', '5-1 * * * *', '1,,2 * * * *', 'x * * * *']) {
      assert.match(cronProblem(bad) ?? '', /is no /, bad)
    }
    assert.equal(cronProblem('0 6 * *'), 'must have five fields (minute, hour, day of month, month, day of week), but has 4')
    assert.match(cronProblem('@DAILY') ?? '', /^unknown shorthand/, 'Temporal takes them in small letters only')
    assert.match(cronProblem('@often') ?? '', /^unknown shorthand; there are @hourly/)
  })

  test('has a zone by name', () => {
    assert.equal(timezoneProblem('Europe/Berlin'), null)
    assert.equal(timezoneProblem('UTC'), null)
    assert.equal(timezoneProblem('+02:00'), 'must be the name of a time zone such as Europe/Berlin')
  })
})
