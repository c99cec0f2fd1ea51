import Type, { type Static } from 'typebox'
import { accountHash, credentialAddress } from '../address.ts'
import { checkedConfig } from '../checked.ts'
import type { Check, Destination, DestinationConnector, FieldDescription, RequestGate } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { openGate, openHttp } from '../http.ts'
import { checkAccount } from './check.ts'
import { hubspotClient } from './client.ts'
import { foldMatch } from './compare.ts'
import { describeObject, describeProperties } from './describe.ts'
import { CLEAR, fieldEncoder } from './fields.ts'
import { BATCH_SIZE, CONCURRENCY, LOST_REQUEST_SECONDS, REQUESTS_PER_SECOND, TIMEOUT_SECONDS } from './limits.ts'
import { fixedToken, oauthTokens } from './oauth.ts'
import { resolveObject, standardObject, type HubspotObject } from './objects.ts'
import { readBackBatch } from './read-back.ts'
import { writeBatch } from './write.ts'

const Config = Type.Object(
  {
    accessToken: Type.Optional(Type.String({ minLength: 1, description: 'of a private app' })),
    oauth: Type.Optional(
      Type.Object(
        {
          clientId: Type.String({ minLength: 1 }),
          clientSecret: Type.String({ minLength: 1 }),
          refreshToken: Type.String({ minLength: 1 }),
        },
        { additionalProperties: false, description: 'of a public app, instead of accessToken' },
      ),
    ),
    baseUrl: Type.Optional(
      Type.String({ minLength: 1, description: 'default https://api.hubapi.com; a proxy or a stand-in, then http:// on loopback too' }),
    ),
    requestsPerSecond: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 1000, description: 'at most; default 10, then what the headers allow' }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 3600, description: 'a request is aborted after it; default 60' }),
    ),
    lostRequestSeconds: Type.Optional(
      Type.Number({ minimum: 0, maximum: 3600, description: 'a lost request may still take effect for so long; default 30' }),
    ),
  },
  { additionalProperties: false },
)

/** HubSpot CRM: contacts, companies, deals, tickets, products, line items and custom objects, by the v3 batch endpoints. */
export const hubspot: DestinationConnector = {
  slug: 'hubspot',
  title: 'HubSpot',
  config: Config,
  secrets: ['accessToken', 'oauth.clientSecret', 'oauth.refreshToken'],
  modes: ['upsert', 'update', 'insert', 'mirror'],
  needsObject: true,
  needsMatch: true,
  open,
}

/** Types of properties change rarely; a read-back may use ones so old. */
const FIELDS_KEPT_MS = 300_000

/** Throws `config` unless exactly one of accessToken and oauth is there and baseUrl is https, or http on loopback. Connects to nothing. */
function open(given: Record<string, unknown>): Destination {
  const config = parse(given)
  const base = credentialAddress(config.baseUrl ?? 'https://api.hubapi.com', 'hubspot: baseUrl')
  const timeoutMs = (config.timeoutSeconds ?? TIMEOUT_SECONDS) * 1_000
  // The base address is the operator's own proxy or stand-in, so it may well be a private one.
  const http = openHttp({ baseUrl: base.href, connections: CONCURRENCY, allowPrivateNetwork: true, label: `HubSpot (${base.host})` })
  const tokens =
    config.oauth === undefined ? fixedToken(config.accessToken ?? '') : oauthTokens({ credentials: config.oauth, http, timeoutMs })
  const client = hubspotClient({ http, tokens, timeoutMs, requestsPerSecond: config.requestsPerSecond ?? null })
  const objects = new Map<string, HubspotObject>()
  const known = new Map<string, { readonly fields: readonly FieldDescription[]; readonly at: number }>()

  const resolve = async (name: string, gate: RequestGate): Promise<HubspotObject> => {
    const object = standardObject(name) ?? objects.get(name) ?? (await resolveObject(client, name, gate))
    objects.set(name, object)
    return object
  }
  const fieldsOf = async (object: HubspotObject, gate: RequestGate): Promise<readonly FieldDescription[]> => {
    const kept = known.get(object.type)
    if (kept !== undefined && performance.now() - kept.at < FIELDS_KEPT_MS) return kept.fields
    const fields = await describeProperties(client, object, gate)
    known.set(object.type, { fields, at: performance.now() })
    return fields
  }

  return {
    batchSize: BATCH_SIZE,
    concurrency: CONCURRENCY,
    requestsPerSecond: config.requestsPerSecond ?? REQUESTS_PER_SECOND,
    timeoutMs,
    lostRequestMs: (config.lostRequestSeconds ?? LOST_REQUEST_SECONDS) * 1_000,
    account: accountHash(base, config.oauth ? ['oauth', config.oauth.clientId, config.oauth.refreshToken] : ['token', config.accessToken]),
    check: (signal: AbortSignal): Promise<Check> => checkAccount(client, base.host, openGate(signal)),
    describe: (object, signal) => describeObject(client, object, openGate(signal)),
    encoder(field, kind) {
      if (field === null) throw new ConnectorError('config', 'a HubSpot property is needed to encode a value for it')
      return fieldEncoder(field, kind)
    },
    clear: CLEAR,
    fold: foldMatch,
    async write(request, gate) {
      const object = await resolve(request.object, gate)
      return writeBatch(client, object.type, request, gate)
    },
    async readBack(request, gate) {
      const object = await resolve(request.object, gate)
      const fields = await fieldsOf(object, gate)
      return readBackBatch({ client, type: object.type, fields, request, gate })
    },
    close: () => client.close(),
  }
}

function parse(given: Record<string, unknown>): Static<typeof Config> {
  const config = checkedConfig('hubspot', Config, given)
  if ((config.accessToken === undefined) === (config.oauth === undefined)) {
    throw new ConnectorError('config', 'hubspot config needs exactly one of accessToken (private app) and oauth (public app)')
  }
  return config
}
