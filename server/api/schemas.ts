import Type from 'typebox'
import { CHANGE_OPS, CHANGE_OUTCOMES } from '../../state/batch-records.ts'
import { Name } from '../../state/spec.ts'
import { RUN_STATES } from '../../state/runs.ts'

/** Shapes of requests and answers: one definition for types, validation and OpenAPI. */
const closed = { additionalProperties: false } as const
const orNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const Text = Type.String()
const TextOrNull = orNull(Type.String())
const Instant = Type.String({ format: 'date-time' })
const Count = Type.Integer({ minimum: 0 })

export const SyncParams = Type.Object({ name: Name }, closed)
export const RunParams = Type.Object({ id: Type.String({ description: 'The run’s id.' }) }, closed)

const Cursor = Type.Optional(Type.String({ description: '`next` of the page before.' }))
const Limit = Type.Integer({ minimum: 1, maximum: 1000, default: 100 })
export const Page = Type.Object({ limit: Limit, cursor: Cursor }, closed)

const COUNTS = 'read unchanged added changed removed retried invalid owed delivered skipped rejected inDoubt'

export const Run = Type.Object(
  {
    id: Text,
    sync: Text,
    state: Type.Enum([...RUN_STATES]),
    trigger: Type.String({ description: 'api, schedule or after' }),
    full: Type.Boolean(),
    dryRun: Type.Boolean(),
    counts: Type.Object(
      {
        read: Count,
        unchanged: Count,
        added: Count,
        changed: Count,
        removed: Count,
        retried: Count,
        invalid: Count,
        owed: Count,
        delivered: Count,
        skipped: Count,
        rejected: Count,
        inDoubt: Count,
      },
      { description: `Records: ${COUNTS.replaceAll(' ', ', ')}.` },
    ),
    waiting: orNull(Type.Object({ reason: Text, until: orNull(Instant) })),
    startedAt: orNull(Instant),
    finishedAt: orNull(Instant),
    error: orNull(Type.Object({ code: Text, message: Text })),
    temporal: Type.Object({ workflowId: Text, runId: TextOrNull, url: TextOrNull }),
  },
  { description: 'One execution of a sync.' },
)

export const pageOf = <T extends Type.TSchema>(item: T) => Type.Object({ data: Type.Array(item), next: TextOrNull })

export const RunListQuery = Type.Object(
  { sync: Type.Optional(Name), state: Type.Optional(Type.Enum([...RUN_STATES])), limit: Limit, cursor: Cursor },
  closed,
)

const KeyText = Type.String({ minLength: 1, description: 'A single key’s text; for a composite key the JSON array of its texts.' })
const Key = Type.Unknown({ description: 'A single key’s text; for a composite key the array of its texts.' })

export const ChangesQuery = Type.Object(
  {
    op: Type.Optional(Type.Enum([...CHANGE_OPS])),
    outcome: Type.Optional(Type.Enum([...CHANGE_OUTCOMES])),
    key: Type.Optional(KeyText),
    limit: Limit,
    cursor: Cursor,
  },
  closed,
)

const RecordError = orNull(Type.Object({ code: Text, message: Text, field: Type.Optional(Type.String()) }))
const Fields = Type.Unknown({ description: 'Destination field → value, as sent; numbers with all their digits.' })

export const ChangeAnswer = Type.Object({
  key: Key,
  op: Type.Enum([...CHANGE_OPS]),
  fields: Fields,
  outcome: Type.Enum([...CHANGE_OUTCOMES]),
  batch: Text,
  error: RecordError,
})

export const PreviewedChange = Type.Object({
  key: Key,
  op: Type.Enum([...CHANGE_OPS]),
  fields: Fields,
  outcome: Type.Enum(['planned', 'invalid']),
  error: RecordError,
})

export const RejectionAnswer = Type.Object({
  key: Key,
  op: Text,
  field: TextOrNull,
  class: Type.String({ description: 'invalid, data, conflict, missing, permission or locked' }),
  code: Text,
  message: Text,
  attempts: Count,
  run: Text,
  firstAt: Instant,
  lastAt: Instant,
  nextAttempt: orNull(Instant),
})

export const RecordParams = Type.Object({ name: Name, key: KeyText }, closed)

export const RecordAnswer = Type.Object({
  key: Key,
  acknowledged: orNull(
    Type.Object(
      { fingerprint: Text, run: TextOrNull, at: orNull(Instant), fields: Fields },
      { description: 'The version that the destination acknowledged last; run and fields as far as they are retained.' },
    ),
  ),
  inDoubt: Type.Boolean(),
  rejection: orNull(RejectionAnswer),
  runs: Type.Array(
    Type.Object({
      run: Text,
      at: orNull(Instant),
      op: Type.Enum([...CHANGE_OPS]),
      outcome: Type.Enum([...CHANGE_OUTCOMES]),
      fields: Fields,
      batch: Text,
      error: RecordError,
    }),
  ),
})

export const CheckAnswer = Type.Object({ ok: Type.Boolean(), detail: Text })
export const DoctorAnswer = Type.Array(Type.Object({ name: Text, ok: Type.Boolean(), detail: Text }))
