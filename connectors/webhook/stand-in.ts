import { createHash } from 'node:crypto'
import { parse } from 'lossless-json'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import { mergeSettings } from '../sandbox/settings.ts'
import { jsonAnswer, type StandIn, type StandInAnswer, type StandInRequest, type StoredRecord } from '../sandbox/stand-in.ts'
import { WriteLog } from '../sandbox/write-log.ts'
import { verifySignature } from './signature.ts'

/**
 * Knobs. `secret`: verify signatures with it, 401 otherwise. `dropKnownRecords`: a record id that was applied under any
 * `webhook-id` is not applied again. By record key: `refuse` answers 422 for every batch that holds one of them, `reject` and
 * `retry` answer 200 with that status in `results` and do not apply it.
 */
const Settings = Type.Object(
  {
    secret: Type.Optional(Type.String()),
    dropKnownRecords: Type.Optional(Type.Boolean()),
    refuse: Type.Optional(Type.Array(Type.String())),
    reject: Type.Optional(Type.Array(Type.String())),
    retry: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
)

const Batch = Type.Object({
  type: Type.Literal('records.changed'),
  timestamp: Type.String(),
  data: Type.Object({
    sync: Type.String(),
    run: Type.String(),
    batch: Type.String(),
    records: Type.Array(
      Type.Object({
        id: Type.String(),
        op: Type.Enum(['upsert', 'delete']),
        key: Type.Union([Type.String(), Type.Array(Type.String())]),
        fields: Type.Record(Type.String(), Type.Unknown()),
      }),
    ),
  }),
})
type Batch = Static<typeof Batch>

/**
 * A receiver of Standard Webhooks. Objects are the syncs' names; a record's key is its text, for a composite key the JSON of its
 * texts; fields of an upsert are merged into the stored ones, numbers keep their digits.
 *
 * | behaviour | source |
 * |---|---|
 * | signature over `id.timestamp.body`, five minutes of tolerance, several signatures | documented: Standard Webhooks 1.0 |
 * | `webhook-id` is the idempotency key: a repeat is answered 200 and not applied | documented: the same |
 * | 401 for a wrong signature, 400 for a body that is no batch | inferred: the usual receiver |
 * | a repeat with other bytes is not applied and listed under `findings.mismatches` | our own promise, checked here |
 * | `results` per record | our own protocol |
 */
export function webhookStandIn(initial: Static<typeof Settings> = {}): StandIn {
  let settings = initial
  const log = new WriteLog()
  const seen = new Map<string, string>()
  const applied = new Set<string>()
  const store = new Map<string, Map<string, StoredRecord>>()
  let mismatches: string[] = []
  let repeats = 0

  function handle({ method, headers, body }: StandInRequest): StandInAnswer {
    if (method !== 'POST') return jsonAnswer(405, { error: 'only POST' }, { allow: 'POST' })
    if (settings.secret !== undefined && !verifySignature(settings.secret, headers, body, Date.now()))
      return jsonAnswer(401, { error: 'signature' })
    const webhookId = headers['webhook-id']
    const batch = parseBatch(body)
    if (batch === null || typeof webhookId !== 'string') return jsonAnswer(400, { error: 'not a batch' })

    const bytes = createHash('sha256').update(body).digest('hex')
    const before = seen.get(webhookId)
    if (before !== undefined && before !== bytes) {
      mismatches.push(webhookId)
      return jsonAnswer(200, {})
    }
    const { refuse = [], reject = [], retry = [] } = settings
    if (batch.data.records.some((record) => refuse.includes(keyText(record.key)))) return jsonAnswer(422, { error: 'refused' })
    seen.set(webhookId, bytes)
    if (before !== undefined) repeats += 1
    const results: { id: string; status: string; message: string }[] = []
    for (const record of batch.data.records) {
      const key = keyText(record.key)
      if (reject.includes(key)) results.push({ id: record.id, status: 'rejected', message: 'rejected by settings' })
      else if (retry.includes(key)) results.push({ id: record.id, status: 'retry', message: 'retry by settings' })
      else apply(batch.data.sync, key, record, before !== undefined)
    }
    return jsonAnswer(200, results.length === 0 ? {} : { results })
  }

  function apply(object: string, key: string, record: Batch['data']['records'][number], repeat: boolean): void {
    log.applied({ object, key, recordId: record.id, content: record.op === 'delete' ? null : JSON.stringify(record.fields) })
    if (repeat || (settings.dropKnownRecords === true && applied.has(record.id))) return
    applied.add(record.id)
    const records = store.get(object) ?? new Map<string, StoredRecord>()
    store.set(object, records)
    if (record.op === 'delete') records.delete(key)
    else records.set(key, { object, key, fields: Object.assign({}, records.get(key)?.fields, record.fields) })
  }

  return {
    slug: 'webhook',
    handle,
    report: () =>
      log.report(
        [...store.values()].reduce((sum, records) => sum + records.size, 0),
        { requestsRepeated: repeats, mismatches },
      ),
    records: (object) => [...store].flatMap(([name, records]) => (object === undefined || object === name ? [...records.values()] : [])),
    configure(change) {
      settings = mergeSettings('webhook', Settings, settings, change)
    },
    reset() {
      settings = initial
      log.reset()
      for (const state of [seen, applied, store]) state.clear()
      mismatches = []
      repeats = 0
    },
  }
}

function parseBatch(body: Buffer): Batch | null {
  try {
    const value = parse(body.toString('utf8'))
    return Value.Check(Batch, value) ? value : null
  } catch {
    return null
  }
}

function keyText(key: string | readonly string[]): string {
  return typeof key === 'string' ? key : JSON.stringify(key)
}
