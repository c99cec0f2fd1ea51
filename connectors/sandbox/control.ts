import { stringify } from 'lossless-json'
import { parseFaults } from './faults.ts'
import type { SandboxState } from './state.ts'
import { jsonAnswer, type StandInAnswer, type StandInRequest } from './stand-in.ts'

/**
 * The control routes, all JSON:
 * - `POST /_sandbox/faults` `{"faults":[…]}` (faults.ts) adds to the script · `DELETE` empties it
 * - `POST /_sandbox/release` `{"count"?}` lets held requests go on, oldest first, all by default → `{"released"}`
 * - `GET /_sandbox/held?count=N&timeoutSeconds=S` answers as soon as N requests are held → `{"held"}`; 408 after S (30) seconds
 * - `POST /_sandbox/latency` `{"ms"}` · `POST /_sandbox/settings` `{"slug":{…}}` knobs of a stand-in
 * - `GET /_sandbox/report` `{"requests","held","faults","systems":{slug:{"writes","totals","findings"}}}`; `?writes=none` leaves the lists out
 * - `GET /_sandbox/records?system=S&object=O&limit=N` `{"total","records"}`, numbers with all digits; `limit=0` only counts
 * - `POST /_sandbox/reset` everything as at start; held requests are dropped, not applied
 */
export async function control(state: SandboxState, request: StandInRequest): Promise<StandInAnswer> {
  try {
    return await route(state, request)
  } catch (error) {
    return jsonAnswer(400, { error: error instanceof Error ? error.message : String(error) })
  }
}

async function route(state: SandboxState, { method, path, query, body }: StandInRequest): Promise<StandInAnswer> {
  switch (`${method} ${path}`) {
    case 'POST /faults':
      state.faults.add(parseFaults(json(body)))
      return jsonAnswer(200, { ok: true })
    case 'DELETE /faults':
      state.faults.clear()
      return jsonAnswer(200, { ok: true })
    case 'POST /release':
      return jsonAnswer(200, { released: state.holds.release(numberField(object(json(body)), 'count') ?? Infinity) })
    case 'GET /held': {
      const reached = await state.holds.reached(Number(query.get('count') ?? 1), Number(query.get('timeoutSeconds') ?? 30) * 1000)
      return jsonAnswer(reached ? 200 : 408, { held: state.holds.count })
    }
    case 'POST /latency':
      state.latencyMs = numberField(object(json(body)), 'ms') ?? 0
      return jsonAnswer(200, { ok: true })
    case 'POST /settings':
      for (const [slug, settings] of Object.entries(object(json(body)))) configure(state, slug, object(settings))
      return jsonAnswer(200, { ok: true })
    case 'GET /report':
      return jsonAnswer(200, report(state, query.get('writes') !== 'none'))
    case 'GET /records':
      return { status: 200, body: stringify(records(state, query)) ?? '' }
    case 'POST /reset':
      reset(state)
      return jsonAnswer(200, { ok: true })
    default:
      return jsonAnswer(404, { error: `no control route ${method} /_sandbox${path}` })
  }
}

function configure(state: SandboxState, slug: string, settings: Readonly<Record<string, unknown>>): void {
  const standIn = state.standIns.get(slug)
  if (standIn?.configure === undefined) throw new Error(`no stand-in "${slug}" with settings`)
  standIn.configure(settings)
}

function report(state: SandboxState, withWrites: boolean): unknown {
  const systems = [...state.standIns.values()].map((standIn) => {
    const { writes, totals, findings } = standIn.report()
    return [standIn.slug, withWrites ? { writes, totals, findings } : { totals, findings }] as const
  })
  return {
    requests: [...state.requests.values()],
    held: state.holds.count,
    faults: state.faults.report(),
    systems: Object.fromEntries(systems),
  }
}

function records(state: SandboxState, query: URLSearchParams): unknown {
  const system = query.get('system') ?? ''
  const standIn = state.standIns.get(system)
  if (standIn === undefined) throw new Error(`system "${system}" is not one of ${[...state.standIns.keys()].join(', ')}`)
  const found = standIn.records(query.get('object') ?? undefined)
  const limit = query.get('limit')
  return { total: found.length, records: limit === null ? found : found.slice(0, Number(limit)) }
}

function reset(state: SandboxState): void {
  state.holds.drop()
  state.faults.clear()
  state.requests.clear()
  state.latencyMs = state.startLatencyMs
  for (const standIn of state.standIns.values()) standIn.reset()
}

function json(body: Buffer): unknown {
  return body.length === 0 ? {} : JSON.parse(body.toString('utf8'))
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('a JSON object was expected')
  return Object.fromEntries(Object.entries(value))
}

function numberField(from: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = from[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= 0)) throw new Error(`"${name}" must be a number, 0 or more`)
  return value
}
