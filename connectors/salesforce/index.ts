import type { Destination, DestinationConnector, RequestGate, WriteRequest } from '../contract.ts'
import { ConnectorError } from '../errors.ts'
import { openGate } from '../http.ts'
import { bulkLoader } from './bulk.ts'
import { parentField } from './bulk-csv.ts'
import { checkOrg } from './check.ts'
import { salesforceClient } from './client.ts'
import { foldMatch } from './compare.ts'
import { Config, parseConfig, SECRETS } from './config.ts'
import { describeObject, described } from './describe.ts'
import { CLEAR, fieldEncoder } from './fields.ts'
import { BATCH_SIZE, CONCURRENCY } from './limits.ts'
import type { SalesforceObject } from './object.ts'
import { readBackBatch } from './read-back.ts'
import { relationshipsIn } from './record.ts'
import { withRelationships } from './relationships.ts'
import { reviewUse } from './review.ts'
import { writeBatch } from './write.ts'

/** Salesforce: standard and custom objects, by sObject Collections and, many at once, by Bulk API 2.0. */
export const salesforce: DestinationConnector = {
  slug: 'salesforce',
  title: 'Salesforce',
  config: Config,
  secrets: SECRETS,
  modes: ['upsert', 'update', 'insert', 'mirror'],
  needsObject: true,
  needsMatch: true,
  open,
}

/** Definitions of objects change rarely; delivery may use ones so old. */
const OBJECTS_KEPT_MS = 300_000

/** Throws `config` for a configuration that cannot work. Connects to nothing. */
function open(given: Record<string, unknown>): Destination {
  const config = parseConfig(given)
  const client = salesforceClient(config)
  const known = new Map<string, { readonly object: SalesforceObject; readonly at: number }>()

  const describe = async (name: string, gate: RequestGate): Promise<SalesforceObject> => {
    const object = await describeObject(client, name, gate)
    known.set(name, { object, at: performance.now() })
    return object
  }
  const kept = async (name: string, gate: RequestGate): Promise<SalesforceObject> => {
    const recent = known.get(name)
    return recent !== undefined && performance.now() - recent.at < OBJECTS_KEPT_MS ? recent.object : describe(name, gate)
  }
  /** The object with the relationships that the batch's records go over. */
  const objectOf = async (request: WriteRequest, gate: RequestGate): Promise<SalesforceObject> => {
    const mapped = new Set(request.records.flatMap(({ line }) => relationshipsIn(line)))
    return withRelationships(await kept(request.object, gate), [...mapped], (name) => kept(name, gate))
  }

  return {
    batchSize: BATCH_SIZE,
    concurrency: CONCURRENCY,
    // Salesforce has no limit by the second; its daily one is watched by the client.
    requestsPerSecond: null,
    timeoutMs: config.timeoutMs,
    lostRequestMs: config.lostRequestMs,
    account: config.account,
    check: (signal) => checkOrg(client, openGate(signal)),
    async describe(name, signal, mapped = []) {
      const gate = openGate(signal)
      return described(await withRelationships(await describe(name, gate), mapped, (related) => kept(related, gate)))
    },
    async review(use, signal) {
      const gate = openGate(signal)
      return reviewUse(await withRelationships(await kept(use.object, gate), use.fields, (related) => kept(related, gate)), use)
    },
    encoder(field, kind) {
      if (field === null) throw new ConnectorError('config', 'a Salesforce field is needed to encode a value for it')
      return fieldEncoder(field, kind)
    },
    clear: CLEAR,
    fold: foldMatch,
    async write(request, gate) {
      await client.withinShare(gate)
      return writeBatch(client, await objectOf(request, gate), request, gate)
    },
    async readBack(request, gate) {
      await client.withinShare(gate)
      return readBackBatch({ client, object: await objectOf(request, gate), request, gate })
    },
    bulk: bulkLoader({
      client,
      from: config.bulkFrom,
      describe: async ({ object, fields }, gate) => withRelationships(await kept(object, gate), fields, (name) => kept(name, gate)),
    }),
    groupBy: parentField,
    close: () => client.close(),
  }
}
