import Type, { type Static } from 'typebox'

/** Knobs of the HubSpot stand-in (`POST /_sandbox/settings` `{"hubspot":{…}}`). */
export const Settings = Type.Object(
  {
    perTenSeconds: Type.Integer({ minimum: 1, description: 'requests per rolling 10 s; an OAuth token has 110 at most' }),
    perDay: Type.Integer({ minimum: 0, description: 'requests per day of the account; OAuth tokens have no such limit' }),
    searchesPerSecond: Type.Integer({ minimum: 1 }),
    rateLimitShape: Type.Enum(['policyName', 'category'], { description: 'documented or recorded shape of a 429' }),
    timeZone: Type.String({ minLength: 1, description: 'of the account; IANA name' }),
    searchLagMs: Type.Number({ minimum: 0, description: 'new writes show in search after this' }),
    shuffle: Type.Boolean({ description: 'results of a batch in another order than its inputs' }),
    acceptedTokens: Type.Union([Type.Null(), Type.Array(Type.String())], {
      description: 'null: every access token that was not issued by OAuth here',
    }),
    tokenLifeSeconds: Type.Number({ exclusiveMinimum: 0 }),
    refreshFailure: Type.Union([Type.Null(), Type.Enum(['BAD_REFRESH_TOKEN', 'BAD_HUB', 'BAD_CLIENT_ID', 'BAD_CLIENT_SECRET'])]),
    missingScopes: Type.Array(Type.String(), { description: 'for example crm.objects.contacts.write' }),
  },
  { additionalProperties: false },
)
export type Settings = Static<typeof Settings>

export const DEFAULT_SETTINGS: Settings = {
  perTenSeconds: 190,
  perDay: 650_000,
  searchesPerSecond: 5,
  rateLimitShape: 'policyName',
  timeZone: 'UTC',
  searchLagMs: 0,
  shuffle: true,
  acceptedTokens: null,
  tokenLifeSeconds: 1_800,
  refreshFailure: null,
  missingScopes: [],
}
