import Type, { type Static } from 'typebox'

const Words = Type.Object({ error: Type.String(), error_description: Type.String() }, { additionalProperties: false })

/** A scripted refusal of records: of those with this match value or external id, or of all (`*`). */
const RowFault = Type.Object(
  {
    key: Type.String({ description: 'a value that the record carries in any field; "*" for every record' }),
    statusCode: Type.String(),
    message: Type.String(),
    fields: Type.Optional(Type.Array(Type.String())),
    times: Type.Optional(Type.Integer({ minimum: 1, description: 'records refused in all; default 1' })),
  },
  { additionalProperties: false },
)
export type RowFault = Static<typeof RowFault>

/** Knobs of the Salesforce stand-in (`POST /_sandbox/settings` `{"salesforce":{…}}`). */
export const Settings = Type.Object(
  {
    sessionSeconds: Type.Number({ exclusiveMinimum: 0, description: 'life of a session' }),
    requestsPerSession: Type.Union([Type.Null(), Type.Integer({ minimum: 0 })], {
      description: 'a session is refused after so many requests',
    }),
    rejectSessions: Type.Boolean({ description: 'every session is refused with 401, new ones too' }),
    loginRefusal: Type.Union([Type.Null(), Words], { description: 'answer of the token endpoint, status 400' }),
    rotateRefreshTokens: Type.Boolean({ description: 'each refresh token is good once' }),
    jwtPublicKey: Type.Union([Type.Null(), Type.String()], { description: 'PEM that assertions are verified with; null: not verified' }),
    dailyRequests: Type.Integer({ minimum: 0, description: 'API calls of the rolling day' }),
    usedRequests: Type.Union([Type.Null(), Type.Integer({ minimum: 0 })], { description: 'sets the count of API calls' }),
    queryPageSize: Type.Integer({ minimum: 1, description: 'records of a page of a query; Salesforce: 2,000' }),
    hiddenFields: Type.Array(Type.String(), { description: 'not visible to this user, for example Account.MRR__c' }),
    lockAbove: Type.Union([Type.Null(), Type.Integer({ minimum: 0 })], {
      description: 'calls with more records than this are answered UNABLE_TO_LOCK_ROW for each of them',
    }),
    duplicateAlerts: Type.Array(Type.String(), {
      description: 'records with such a value raise the alert of a duplicate rule, which refuses them unless the call says allowSave=true',
    }),
    rowFaults: Type.Array(RowFault),
    bulkQueueMs: Type.Number({ minimum: 0, description: 'a bulk job waits so long before half of it is written' }),
    bulkProcessMs: Type.Number({ minimum: 0, description: 'and so long until the rest is' }),
    bulkHold: Type.Boolean({ description: 'bulk jobs stay InProgress, half written' }),
    bulkFailure: Type.Union([Type.Null(), Type.String()], { description: 'bulk jobs fail with this errorMessage, half written' }),
    bulkBatches: Type.Integer({ minimum: 0, description: 'internal batches of the rolling day' }),
    bulkBatchRows: Type.Integer({ minimum: 1, description: 'rows of an internal batch; Salesforce: 10,000' }),
    bulkForgets: Type.Union([Type.Null(), Type.Integer({ minimum: 1 })], { description: 'every so manyth row has no result' }),
    bulkLocks: Type.Boolean({ description: 'internal batches that share a parent lock each other out' }),
    bulkRefuses: Type.Array(Type.String(), { description: 'objects that Bulk API 2.0 does not take' }),
    bulkResultRows: Type.Integer({ minimum: 1, description: 'rows of a page of results, the next one by Sforce-Locator' }),
    bulkPageSize: Type.Integer({ minimum: 1, description: 'jobs of a page of the list; Salesforce: 1,000' }),
  },
  { additionalProperties: false },
)
export type Settings = Static<typeof Settings>

export const DEFAULT_SETTINGS: Settings = {
  sessionSeconds: 7_200,
  requestsPerSession: null,
  rejectSessions: false,
  loginRefusal: null,
  rotateRefreshTokens: false,
  jwtPublicKey: null,
  dailyRequests: 15_000,
  usedRequests: null,
  queryPageSize: 2_000,
  hiddenFields: [],
  lockAbove: null,
  duplicateAlerts: [],
  rowFaults: [],
  bulkQueueMs: 50,
  bulkProcessMs: 50,
  bulkHold: false,
  bulkFailure: null,
  bulkBatches: 15_000,
  bulkBatchRows: 10_000,
  bulkForgets: null,
  bulkLocks: false,
  bulkRefuses: [],
  bulkResultRows: 50_000,
  bulkPageSize: 1_000,
}
