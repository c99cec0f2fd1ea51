import { mergeSettings } from '../sandbox/settings.ts'
import { jsonAnswer, type StandIn, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { parseObject, type JsonObject } from '../json-object.ts'
import { Access, requireScope } from './stand-in-access.ts'
import { Account } from './stand-in-account.ts'
import { invalid, notFound, Refusal } from './stand-in-answers.ts'
import { batch } from './stand-in-batch.ts'
import { RateLimits } from './stand-in-rate.ts'
import { merge, search, single } from './stand-in-records.ts'
import { properties, schemas } from './stand-in-schemas.ts'
import { PORTAL_ID } from './stand-in-seed.ts'
import { DEFAULT_SETTINGS, Settings } from './stand-in-settings.ts'
import type { ObjectStore } from './stand-in-store.ts'

/**
 * One HubSpot account in memory; what it does and where that is known from stands in STAND-IN.md. 423, 477, 502 and 524 are
 * scripted faults of the sandbox. `now` is the clock that limits, tokens and time stamps go by.
 */
export function hubspotStandIn({ now = Date.now }: { readonly now?: () => number } = {}): StandIn {
  let settings = DEFAULT_SETTINGS
  let account = new Account(now)
  let limits = new RateLimits()
  const access = new Access()

  const answer = (request: StandInRequest): StandInAnswer => {
    if (request.method === 'POST' && request.path === '/oauth/v1/token') return access.token(request, settings, now())
    const { oauth } = access.check(request, settings, now())
    const taken = limits.take(settings, { oauth, search: request.path.endsWith('/search') }, now())
    if ('refusal' in taken) return taken.refusal
    const { headers } = taken
    try {
      const { status, headers: own, body } = route(request)
      return { status, headers: { ...own, ...headers }, ...(body === undefined ? {} : { body }) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { ...error.answer, headers: { ...error.answer.headers, ...headers } }
    }
  }

  const route = (request: StandInRequest): StandInAnswer => {
    const { method, path } = request
    const [, area = '', version = '', kind = '', type = '', first = null, second = null] = path
      .split('/')
      .map((part, index) => (index > 3 ? decodeURIComponent(part) : part))
    if (method === 'GET' && path === '/account-info/v3/details') {
      return jsonAnswer(200, {
        portalId: PORTAL_ID,
        accountType: 'STANDARD',
        timeZone: settings.timeZone,
        companyCurrency: 'EUR',
        utcOffset: '+00:00',
      })
    }
    const body = bodyOf(request)
    // The second address is the one that HubSpot's own client calls.
    if (path === '/crm/v3/schemas' || path === '/crm-object-schemas/v3/schemas') {
      requireScope('crm.schemas.custom.read', settings)
      return schemas(account, method, body)
    }
    if (area !== 'crm' || version !== 'v3' || (kind !== 'properties' && kind !== 'objects')) throw notFound('no such path')
    const store = storeOf(account, type)
    if (kind === 'properties') {
      requireScope(`crm.schemas.${type}.read`, settings)
      return properties(store, method, first, body)
    }
    const reads = method === 'GET' || second === 'read' || first === 'search'
    requireScope(`crm.objects.${type}.${reads ? 'read' : 'write'}`, settings)
    if (method === 'POST' && first === 'batch' && second !== null) return batch(account, store, second, body)
    if (method === 'POST' && first === 'merge') return merge(account, store, body)
    if (method === 'POST' && first === 'search') return search(account, store, body, settings.searchLagMs)
    return single(account, store, request, first, body)
  }

  return {
    slug: 'hubspot',
    handle(request) {
      account.shuffle = settings.shuffle
      try {
        return answer(request)
      } catch (error) {
        if (error instanceof Refusal) return error.answer
        throw error
      }
    },
    report: () =>
      account.log.report(account.count(), {
        unchangedWrites: account.unchanged,
        refusedInputs: account.refusedInputs,
        throttledRequests: limits.refused,
        tokenRefreshes: access.refreshes,
      }),
    records: (object) => account.records(object),
    configure(given) {
      settings = mergeSettings('hubspot', Settings, settings, given)
    },
    reset() {
      settings = DEFAULT_SETTINGS
      account = new Account(now)
      limits = new RateLimits()
      access.reset()
    },
  }
}

function storeOf(account: Account, name: string): ObjectStore {
  const store = account.store(name)
  if (store === undefined) throw invalid(`Unable to infer object type from: ${name}`)
  return store
}

function bodyOf(request: StandInRequest): JsonObject {
  if (request.body.length === 0) return {}
  const body = parseObject(request.body.toString('utf8'))
  if (body === null) throw invalid('Invalid input JSON')
  return body
}
