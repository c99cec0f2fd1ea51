import { parse } from 'lossless-json'
import Type, { type Static, type TSchema } from 'typebox'
import Value from 'typebox/value'
import { ApiClient } from '../cli/api-client.ts'

/** The demo's questions to the API and to the stand-ins, over HTTP as anybody else would ask them. */

export type Crm = 'hubspot' | 'salesforce'
export type System = Crm | 'webhook'

/** HubSpot holds every value as a text; the others get numbers, whose digits JSON.parse would lose, and which take five times as long. */
export function readJson(system: System, text: string): unknown {
  return system === 'hubspot' ? JSON.parse(text) : parse(text)
}

const Text = Type.String()
const Count = Type.Integer()
const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const Counts = Type.Object({
  read: Count,
  unchanged: Count,
  added: Count,
  changed: Count,
  removed: Count,
  invalid: Count,
  delivered: Count,
  skipped: Count,
  rejected: Count,
  owed: Count,
})

const Run = Type.Object({
  id: Text,
  sync: Text,
  state: Text,
  counts: Counts,
  waiting: Nullable(Type.Object({ reason: Text })),
  startedAt: Nullable(Text),
  finishedAt: Nullable(Text),
  error: Nullable(Type.Object({ code: Text, message: Text })),
  temporal: Type.Object({ url: Nullable(Text) }),
})
export type Run = Static<typeof Run>

const Rejection = Type.Object({ key: Type.Unknown(), field: Nullable(Text), class: Text, code: Text, message: Text })
export type Rejection = Static<typeof Rejection>
const Rejections = Type.Object({ data: Type.Array(Rejection) })

const Report = Type.Object({
  requests: Type.Array(Type.Object({ system: Text, count: Count })),
  systems: Type.Record(Text, Type.Object({ totals: Type.Object({ records: Count, effective: Count, repeated: Count }) })),
})

const Stored = Type.Object({ key: Text, fields: Type.Record(Text, Type.Unknown()) })
export type Stored = Static<typeof Stored>
const Records = Type.Object({ records: Type.Array(Stored) })

/** What a stand-in counted since it was started. */
export interface Tally {
  readonly records: number
  readonly effective: number
  readonly repeated: number
  readonly requests: number
}

const ENDED = ['succeeded', 'partial', 'failed', 'cancelled']
export const hasEnded = (run: Run): boolean => ENDED.includes(run.state)

export type Asked = ReturnType<typeof asking>

/** Every answer that is not 2xx rejects with what the server said; `signal` ends what is under way. */
export function asking(apiUrl: string, sandboxUrl: string, signal: AbortSignal) {
  const api = new ApiClient({ url: apiUrl, token: null })
  const sandbox = async (path: string, body?: object): Promise<string> => {
    const response = await fetch(`${sandboxUrl}/_sandbox/${path}`, {
      signal,
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`the sandbox answered ${response.status} to ${path}: ${text}`)
    return text
  }

  return {
    apply: (documents: readonly object[]): Promise<unknown> => api.post('/v1/config/apply', { documents }, { signal }),
    startRun: async (sync: string): Promise<Run> => checked(Run, await api.post(`/v1/syncs/${sync}/runs`, {}, { signal }), 'a run'),
    /** As it stands when it has ended, or after a second. */
    run: async (id: string): Promise<Run> => checked(Run, await api.get(`/v1/runs/${id}?wait=1`, { signal }), 'a run'),
    rejections: async (sync: string): Promise<Rejection[]> =>
      checked(Rejections, await api.get(`/v1/syncs/${sync}/rejections?limit=100`, { signal }), 'the rejections').data,
    configureSandbox: (settings: object): Promise<string> => sandbox('settings', settings),
    async tally(system: System): Promise<Tally> {
      const { requests, systems } = checked(Report, JSON.parse(await sandbox('report?writes=none')), "the sandbox's report")
      const totals = systems[system]?.totals
      if (totals === undefined) throw new Error(`the sandbox has no stand-in ${system}`)
      return { ...totals, requests: requests.filter((each) => each.system === system).reduce((sum, { count }) => sum + count, 0) }
    },
    held: async (system: System): Promise<Stored[]> =>
      checked(Records, readJson(system, await sandbox(`records?system=${system}`)), "the sandbox's records").records,
  }
}

function checked<T extends TSchema>(schema: T, value: unknown, what: string): Static<T> {
  if (Value.Check(schema, value)) return value
  const first = Value.Errors(schema, value)[0]
  throw new Error(`${what} came in an unknown shape: ${first?.instancePath ?? ''} ${first?.message ?? ''}`)
}
