import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { objectAt, objectsAt, parseObject, textAt, textsAt, type JsonObject } from '../../connectors/json-object.ts'
import { hubspotStandIn } from '../../connectors/hubspot/stand-in.ts'

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: JsonObject
}

function account() {
  let time = Date.parse('2026-01-31T12:00:00Z')
  const standIn = hubspotStandIn({ now: () => time })
  const call = async (method: string, path: string, body?: unknown, token = 'pat-1'): Promise<Reply> => {
    const url = new URL(path, 'http://stand-in')
    const payload = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
    const request = {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: { authorization: `Bearer ${token}` },
      body: Buffer.from(payload),
    }
    const answer = await standIn.handle(request)
    return { status: answer.status, headers: answer.headers ?? {}, body: parseObject(String(answer.body ?? '')) ?? {} }
  }
  const batch = (verb: string, inputs: unknown, more: object = {}): Promise<Reply> =>
    call('POST', `/crm/v3/objects/contacts/batch/${verb}`, { inputs, ...more })
  return { standIn, call, batch, pass: (ms: number) => (time += ms) }
}

const upsert = (email: string, more: Record<string, string> = {}, trace?: string): object => ({
  id: email,
  idProperty: 'email',
  properties: { email, ...more },
  ...(trace === undefined ? {} : { objectWriteTraceId: trace }),
})

describe('hubspot stand-in', () => {
  it('partial results only where every input has a trace id; else nothing is applied', async () => {
    const { batch, standIn } = account()
    const inputs = (traced: boolean): object[] => [upsert('a@x.y', {}, 't1'), upsert('b@x.y', { plan: 'gold' }, traced ? 't2' : undefined)]
    const whole = await batch('upsert', inputs(false))
    assert.deepEqual([whole.status, textAt(whole.body, 'category'), standIn.records().length], [400, 'VALIDATION_ERROR', 0])
    const part = await batch('upsert', inputs(true))
    assert.deepEqual([part.status, part.body['numErrors'], standIn.records().length], [207, 1, 1])
    const context = objectAt(objectsAt(part.body, 'errors')[0] ?? null, 'context')
    assert.deepEqual(textsAt(context, 'objectWriteTraceId'), ['t2'])
  })

  it('results come in another order, with what is new', async () => {
    const { batch } = account()
    const inputs = Array.from({ length: 20 }, (_, n) => upsert(`a${n}@x.y`, {}, `t${n}`))
    const traces = objectsAt((await batch('upsert', inputs)).body, 'results').map((result) => textAt(result, 'objectWriteTraceId'))
    assert.notDeepEqual(
      traces,
      inputs.map((_, n) => `t${n}`),
    )
    assert.equal(new Set(traces).size, 20)
    const again = objectsAt((await batch('upsert', [upsert('A3@X.Y ', {}, 'u')])).body, 'results')[0]
    assert.equal(again?.['new'], false)
  })

  it('refuses whole batches for what HubSpot refuses them for', async () => {
    const { batch } = account()
    await batch('upsert', [upsert('a@x.y')])
    const message = (reply: Reply): string => `${reply.status} ${textAt(reply.body, 'message')}`
    assert.match(message(await batch('upsert', [upsert('b@x.y', {}, '1'), upsert('B@x.y', {}, '2')])), /^400 Duplicate IDs/)
    assert.match(
      message(await batch('upsert', [{ id: '1', idProperty: 'hs_object_id', properties: {} }])),
      /^400 Unable to perform update\/upsert by non-unique 0-1 property hs_object_id/,
    )
    assert.match(
      message(await batch('update', [{ id: 'a@x.y', idProperty: 'email', properties: {} }])),
      /^400 Unable .* 0-1 property email/,
    )
    assert.match(message(await batch('upsert', [{ id: '1', idProperty: 'firstname', properties: {} }])), /^400 .*firstname/)
    assert.match(
      message(await batch('create', [{ properties: { email: 'A@x.y' }, objectWriteTraceId: '1' }])),
      /^409 Contact already exists\. Existing ID: \d+/,
    )
    assert.match(
      message(
        await batch(
          'upsert',
          Array.from({ length: 101 }, (_, n) => upsert(`a${n}@x.y`)),
        ),
      ),
      /^400 .*100/,
    )
    assert.match(message(await batch('upsert', '[')), /^400/)
  })

  it('is silent about ids it does not know, in update and archive; a read names them', async () => {
    const { batch } = account()
    const [made] = objectsAt((await batch('upsert', [upsert('a@x.y')])).body, 'results')
    const update = await batch('update', [
      { id: '1', properties: { plan: 'pro' }, objectWriteTraceId: '1' },
      { id: made?.['id'], properties: { plan: 'pro' }, objectWriteTraceId: '2' },
    ])
    assert.deepEqual([update.status, objectsAt(update.body, 'results').length, update.body['errors']], [200, 1, undefined])
    assert.equal((await batch('archive', [{ id: '1' }])).status, 204)
    const read = await batch('read', [{ id: 'A@x.y' }, { id: 'nobody@x.y' }], { idProperty: 'email', properties: ['plan'] })
    assert.deepEqual([read.status, objectsAt(read.body, 'results').length, objectsAt(read.body, 'errors').length], [207, 1, 1])
  })

  it('properties: clears by "", appends by ";", moves the lifecycle forward only, clashes on unique values, refuses what is read-only', async () => {
    const { batch, standIn } = account()
    const write = async (more: Record<string, string>, email = 'a@x.y'): Promise<string> => {
      const reply = await batch('upsert', [upsert(email, more, 't')])
      return reply.status === 200
        ? JSON.stringify(standIn.records()[0]?.fields)
        : (textAt(objectsAt(reply.body, 'errors')[0] ?? null, 'message') ?? '')
    }
    assert.match(await write({ interests: 'art' }), /"interests":"art"/)
    assert.match(await write({ interests: ';music' }), /"interests":"art;music"/)
    assert.doesNotMatch(await write({ interests: '' }), /interests/)
    assert.match(await write({ lifecyclestage: 'customer' }), /"lifecyclestage":"customer"/)
    assert.match(await write({ lifecyclestage: 'lead' }), /"lifecyclestage":"customer"/)
    await write({ lifecyclestage: '' })
    assert.match(await write({ lifecyclestage: 'lead', external_id: 'x' }), /"lifecyclestage":"lead"/)
    assert.match(await write({ external_id: 'X' }, 'b@x.y'), /already has that value/)
    assert.match(await write({ nonsense: '1' }), /PROPERTY_DOESNT_EXIST/)
    assert.match(await write({ createdate: '1' }), /READ_ONLY_VALUE/)
    assert.match(await write({ birthday: '2026-01-31T10:00:00Z' }), /INVALID_DATE/)
    assert.match(await write({ mrr: 'many' }), /INVALID_LONG/)
  })

  it('counts per trace id what was effective and what was repeated, and writes that changed nothing', async () => {
    const { batch, standIn } = account()
    await batch('upsert', [upsert('a@x.y', { plan: 'pro' }, 'v1')])
    await batch('upsert', [upsert('a@x.y', { plan: 'pro' }, 'v1')])
    await batch('upsert', [upsert('a@x.y', { plan: 'pro' }, 'v2')])
    const { writes, findings } = standIn.report()
    assert.deepEqual(
      writes.map(({ recordId, key, effective, repeated }) => [recordId, key, effective, repeated]),
      [
        ['v1', 'a@x.y', 1, 1],
        ['v2', 'a@x.y', 1, 0],
      ],
    )
    assert.equal(findings['unchangedWrites'], 2)
  })

  it('search lags behind, has its own limit and tells no window', async () => {
    const { batch, call, standIn, pass } = account()
    standIn.configure?.({ searchLagMs: 5_000, searchesPerSecond: 2 })
    await batch('upsert', [upsert('a@x.y')])
    const search = (): Promise<Reply> =>
      call('POST', '/crm/v3/objects/contacts/search', {
        filterGroups: [{ filters: [{ propertyName: 'email', operator: 'EQ', value: 'a@x.y' }] }],
      })
    const early = await search()
    assert.deepEqual([early.body['total'], early.headers['x-hubspot-ratelimit-max']], [0, undefined])
    pass(5_000)
    assert.equal((await search()).body['total'], 1)
    await search()
    const third = await search()
    assert.deepEqual([third.status, textAt(third.body, 'policyName')], [429, 'SECONDLY'])
  })

  it('properties and schemas are made with HubSpot’s rules; reset forgets everything', async () => {
    const { call, standIn } = account()
    const made = { name: 'score', type: 'number', fieldType: 'number', groupName: 'g', label: 'Score' }
    assert.equal((await call('POST', '/crm/v3/properties/contacts', made)).status, 201)
    assert.equal((await call('POST', '/crm/v3/properties/contacts', made)).status, 409)
    assert.equal((await call('POST', '/crm/v3/properties/products', { ...made, hasUniqueValue: true })).status, 400)
    assert.equal((await call('DELETE', '/crm/v3/properties/contacts/score')).status, 204)
    assert.equal((await call('GET', '/crm/v3/properties/cars')).status, 400)
    assert.equal((await call('POST', '/crm/v3/schemas', { name: 'cars' })).status, 201)
    assert.equal((await call('GET', '/crm/v3/properties/cars')).status, 200)
    assert.equal((await call('GET', '/crm/v3/properties/contacts', undefined, 'oauth-unknown')).status, 401)
    assert.throws(() => standIn.configure?.({ colour: 'red' }), /colour|settings are/)
    standIn.reset()
    assert.equal((await call('GET', '/crm/v3/properties/cars')).status, 400)
  })
})
