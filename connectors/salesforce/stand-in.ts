import { mergeSettings } from '../sandbox/settings.ts'
import { jsonAnswer, type StandIn, type StandInAnswer, type StandInRequest } from '../sandbox/stand-in.ts'
import { Access, ORGANIZATION_ID, USER_ID } from './stand-in-access.ts'
import { notFound, Refusal } from './stand-in-answers.ts'
import { collections } from './stand-in-collections.ts'
import { BulkJobs } from './stand-in-bulk.ts'
import { basicInformation, describe, describeGlobal } from './stand-in-describe.ts'
import { DailyCalls } from './stand-in-limits.ts'
import { Org } from './stand-in-org.ts'
import { Queries, queryText } from './stand-in-query.ts'
import { single } from './stand-in-records.ts'
import { Settings } from './stand-in-settings.ts'

/** Versions that are served; older ones are retired, newer ones do not exist yet. */
const OLDEST = 31
const NEWEST = 67

/**
 * One Salesforce org in memory; what it does and where that is known from stands in STAND-IN.md. `now` is the clock that sessions
 * and time stamps go by.
 */
export function salesforceStandIn({ now = Date.now }: { readonly now?: () => number } = {}): StandIn {
  let org = new Org(now)
  let calls = new DailyCalls()
  let queries = new Queries()
  let bulk = new BulkJobs(org)
  const access = new Access()

  const rest = (request: StandInRequest, version: string, parts: readonly string[]): StandInAnswer => {
    const [area = '', first = null, second = null, third = null] = parts
    const get = request.method === 'GET'
    switch (area) {
      case '':
        return jsonAnswer(200, { sobjects: `/services/data/v${version}/sobjects`, limits: `/services/data/v${version}/limits` })
      case 'limits':
        return calls.limits(org.settings, bulk.batchesLeft)
      case 'query':
      case 'queryAll':
        return first === null ? queries.query(org, queryText(request.query), version) : queries.more(first, version)
      case 'composite':
        if (first === 'sobjects') return collections(org, request, second, third)
        throw notFound()
      case 'jobs':
        if (first === 'ingest') return bulk.handle(request, version, parts.slice(2))
        throw notFound()
      case 'sobjects': {
        if (first === null) return describeGlobal(org)
        const store = org.store(first)
        if (store === undefined) throw notFound()
        if (second === null && get) return basicInformation(store)
        if (second === 'describe' && get) return describe(org, store)
        return single(org, store, request, second, third)
      }
      default:
        throw notFound()
    }
  }

  const route = (request: StandInRequest): StandInAnswer => {
    const parts = request.path.split('/').slice(1).map(decodeURIComponent)
    const base = `http://${request.headers.host ?? 'localhost'}/salesforce`
    if (request.method === 'POST' && request.path === '/services/oauth2/token') return access.token(request, org.settings, now(), base)
    if (request.path === '/services/data' || request.path === '/services/data/')
      return jsonAnswer(200, [{ label: 'Spring ’26', url: '/services/data/v66.0', version: '66.0' }])
    access.check(request, org.settings, now())
    if (parts[0] === 'id' || request.path === '/services/oauth2/userinfo')
      return jsonAnswer(200, {
        id: `${base}/id/${ORGANIZATION_ID}/${USER_ID}`,
        user_id: USER_ID,
        organization_id: ORGANIZATION_ID,
        username: 'tailrace@example.com',
      })
    const version = /^v(\d+)\.0$/.exec(parts[2] ?? '')?.[1]
    if (parts[0] !== 'services' || parts[1] !== 'data' || version === undefined || Number(version) > NEWEST) throw notFound()
    if (Number(version) < OLDEST) throw new Refusal(410, 'UNSUPPORTED_API_VERSION', 'GONE')
    calls.take(org.settings)
    bulk.advance()
    return rest(request, `${version}.0`, parts.slice(3))
  }

  return {
    slug: 'salesforce',
    // jsforce asks for bulk jobs there.
    root: 'services',
    handle(request) {
      if (request.path.startsWith('/services/oauth2/')) return refusing(() => route(request))
      const answer = refusing(() => route(request))
      return { ...answer, headers: { ...calls.header(org.settings), ...answer.headers } }
    },
    report() {
      bulk.advance()
      return org.log.report(
        org.stores().reduce((sum, store) => sum + store.size, 0),
        {
          unchangedWrites: org.unchanged,
          refusedRecords: org.refusedRecords,
          refusedRequests: calls.refused,
          logIns: access.logIns,
          bulkUploads: bulk.uploads,
          bulkJobs: bulk.states(),
        },
      )
    },
    records(object) {
      bulk.advance()
      return org.records(object)
    },
    configure(given) {
      org.settings = mergeSettings('salesforce', Settings, org.settings, given)
      if (typeof given['usedRequests'] === 'number') calls.set(given['usedRequests'])
    },
    reset() {
      org = new Org(now)
      calls = new DailyCalls()
      queries = new Queries()
      bulk = new BulkJobs(org)
      access.reset()
    },
  }
}

function refusing(answer: () => StandInAnswer): StandInAnswer {
  try {
    return answer()
  } catch (error) {
    if (error instanceof Refusal) return error.answer
    throw error
  }
}
