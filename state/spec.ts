import { Type, type Static } from 'typebox'

/**
 * Shapes of the five kinds of resources, as stored: the document without `kind`, `name` and `version`.
 * One definition serves the YAML check, the API's routes, OpenAPI and the published JSON Schema.
 */
const closed = { additionalProperties: false } as const

export const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })

export const ConnectorSpec = Type.Object({ connector: Type.String(), config: Type.Record(Type.String(), Type.Unknown()) }, closed)

export const ModelSpec = Type.Object(
  {
    source: Name,
    sql: Type.Optional(Type.String({ minLength: 1 })),
    table: Type.Optional(Type.String({ minLength: 1 })),
    dbtModel: Type.Optional(
      Type.String({
        pattern: '^model\\.[^.]+\\..+$',
        description: 'Unique id of the dbt model that builds the table; `export --format dbt-exposures` goes by it.',
      }),
    ),
    primaryKey: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })]),
  },
  closed,
)

const IfNull = Type.Union([Type.Literal('clear'), Type.Literal('skip'), Type.Literal('reject')])

const FieldMapping = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Object({ column: Type.String({ minLength: 1 }), ifNull: Type.Optional(IfNull) }, closed),
  Type.Object({ value: Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]) }, closed),
  Type.Object({ template: Type.String(), ifNull: Type.Optional(IfNull) }, closed),
])

const Duration = Type.String({ pattern: '^[1-9][0-9]*(s|m|h|d)$' })

const Schedule = Type.Union([
  Type.Object({ every: Duration, paused: Type.Optional(Type.Boolean()) }, closed),
  Type.Object({ cron: Type.String(), timezone: Type.Optional(Type.String()), paused: Type.Optional(Type.Boolean()) }, closed),
  Type.Object({ after: Name, paused: Type.Optional(Type.Boolean()) }, closed),
])

/** `20%` of the whole, or a number of records. */
const Limit = Type.Union([Type.String({ pattern: '^(100|[0-9]{1,2})(\\.[0-9]+)?%$' }), Type.Integer({ minimum: 0 })])

const Guards = Type.Object(
  {
    maxRemoved: Type.Optional(Limit),
    maxChanged: Type.Optional(Limit),
    emptyModel: Type.Optional(Type.Union([Type.Literal('hold'), Type.Literal('allow')])),
    maxRejected: Type.Optional(Limit),
    holdFor: Type.Optional(Duration),
  },
  closed,
)

export const SyncSpec = Type.Object(
  {
    model: Name,
    destination: Name,
    object: Type.Optional(Type.String({ minLength: 1 })),
    mode: Type.Union([Type.Literal('upsert'), Type.Literal('update'), Type.Literal('insert'), Type.Literal('mirror')]),
    match: Type.Optional(Type.String({ minLength: 1 })),
    fields: Type.Record(Type.String({ minLength: 1 }), FieldMapping, { minProperties: 1 }),
    schedule: Type.Optional(Schedule),
    guards: Type.Optional(Guards),
  },
  closed,
)

export const NotificationSpec = Type.Object(
  {
    url: Type.String({ minLength: 1 }),
    secret: Type.String({ minLength: 1 }),
    on: Type.Array(Type.Union([Type.Literal('failed'), Type.Literal('parked'), Type.Literal('partial'), Type.Literal('recovered')]), {
      minItems: 1,
    }),
    allowPrivateNetwork: Type.Optional(Type.Boolean()),
  },
  closed,
)

export const SPECS = {
  Source: ConnectorSpec,
  Model: ModelSpec,
  Destination: ConnectorSpec,
  Sync: SyncSpec,
  Notification: NotificationSpec,
} as const

export type Kind = keyof typeof SPECS
export type ConnectorSpec = Static<typeof ConnectorSpec>
export type ModelSpec = Static<typeof ModelSpec>
export type SyncSpec = Static<typeof SyncSpec>
export type FieldMapping = Static<typeof FieldMapping>
export type NotificationSpec = Static<typeof NotificationSpec>

/** Body of POST /v1/syncs/{name}/runs. */
export const RunOptions = Type.Object(
  {
    full: Type.Optional(Type.Boolean()),
    verify: Type.Optional(Type.Boolean()),
    dryRun: Type.Optional(Type.Boolean()),
    adopt: Type.Optional(Type.Boolean()),
    onConflict: Type.Optional(Type.Union([Type.Literal('reject'), Type.Literal('join'), Type.Literal('queue')])),
  },
  closed,
)
export type RunOptions = Static<typeof RunOptions>
