import { inspect } from 'node:util'
import type { Destination, DestinationConnector, PlannedRecord, RequestGate, ValueKind, WriteRequest } from '../../connectors/contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import type { Fault } from '../../connectors/sandbox/faults.ts'
import { createSandbox, type Sandbox } from '../../connectors/sandbox/sandbox.ts'
import type { StandIn } from '../../connectors/sandbox/stand-in.ts'

/** How the conformance suite gets at one connector and at what arrived behind it. */
export interface DestinationFixture {
  readonly connector: DestinationConnector
  /** A fresh stand-in whose answers the suite expects, with whatever object the records need. */
  standIn(): StandIn
  /** Config that points at a base address `http://127.0.0.1:port/slug`; `timeoutSeconds` must be 1. */
  config(baseUrl: string): Record<string, unknown>
  /** Texts of that config that no error may show. */
  readonly secrets: readonly string[]
  readonly object: string
  readonly match: string | null
  /** The n-th good record; its values must hold `private-<n>` somewhere. */
  record(n: number): PlannedRecord
  /** The same record with another version id and another value. */
  changed(n: number): PlannedRecord
  /** A record that the destination refuses by itself while it takes its neighbours; `arm` makes the stand-in do so if need be. */
  bad(n: number, standIn: StandIn): PlannedRecord
  /** Selects write requests for faults. */
  readonly writes: Pick<Fault, 'method' | 'path'>
  /** Path of the log-in, which goes before a batch, carries nothing of it and is not counted among what arrived. */
  readonly logIn?: string
  /** An answer of status 200 that does not mention the records, and what the destination documents for that. */
  readonly silent: { readonly body: unknown; readonly means: 'in_doubt' | 'delivered' }
  /** Answers that mean "over the limit", with the wait that follows. */
  readonly throttles: readonly { readonly answer: Pick<Fault, 'status' | 'headers' | 'body'>; readonly waitMs: readonly [number, number] }[]
  /** An answer that refuses the whole request without naming a record. */
  readonly refusal: Pick<Fault, 'status' | 'body'>
  readonly values: readonly { readonly field: string; readonly kind: ValueKind; readonly text: string; readonly stored: string }[]
  /** A record that carries these encoded fields (JSON texts by name), and the stored text of one of its fields. */
  recordWith(fields: Readonly<Record<string, string>>): PlannedRecord
}

/** A sandbox with one stand-in, the connector opened on it, and a gate that counts. */
export interface Bench extends AsyncDisposable {
  readonly sandbox: Sandbox
  readonly standIn: StandIn
  readonly destination: Destination
  readonly url: string
  request(records: readonly PlannedRecord[], batchId?: string): WriteRequest
  fault(fault: Omit<Fault, 'on' | 'method' | 'path'>): void
  /** Requests that arrived, log-ins apart. */
  arrived(): number
}

export async function openBench(fixture: DestinationFixture): Promise<Bench> {
  const standIn = fixture.standIn()
  const sandbox = createSandbox({ standIns: [standIn] })
  const { url } = await sandbox.listen(0)
  const destination = fixture.connector.open(fixture.config(`${url}/${standIn.slug}`))
  return {
    sandbox,
    standIn,
    destination,
    url,
    request: (records, batchId = 'batch-1') => requestFor(fixture, records, batchId),
    fault: (fault) => sandbox.state.faults.add([{ on: standIn.slug, ...fixture.writes, ...fault }]),
    arrived: () => [...sandbox.state.requests.values()].reduce((sum, { path, count }) => sum + (path === fixture.logIn ? 0 : count), 0),
    async [Symbol.asyncDispose]() {
      await sandbox.close()
      await destination.close()
    },
  }
}

export function requestFor(fixture: DestinationFixture, records: readonly PlannedRecord[], batchId: string): WriteRequest {
  return {
    batchId,
    sync: 'customers',
    run: '0198f0aa-0000-7000-8000-000000000001',
    plannedAt: '2026-01-31T12:00:00.000Z',
    object: fixture.object,
    mode: 'upsert',
    match: fixture.match,
    records,
  }
}

export interface CountingGate extends RequestGate {
  admitted: number
}

/** Lets everything pass and counts; `override` replaces single parts. */
export function countingGate(override: Partial<RequestGate> = {}): CountingGate {
  const gate: CountingGate = {
    admitted: 0,
    signal: override.signal ?? new AbortController().signal,
    async admit() {
      await override.admit?.()
      gate.admitted += 1
    },
    assertFresh: override.assertFresh ?? (() => undefined),
    allow: override.allow ?? (() => undefined),
  }
  return gate
}

/** The ConnectorError that a promise rejects with; anything else fails the test. */
export async function connectorError(promise: Promise<unknown>): Promise<ConnectorError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ConnectorError) return error
    throw new Error(`not a ConnectorError: ${inspect(error)}`, { cause: error })
  }
  throw new Error('a ConnectorError was expected, the promise was fulfilled')
}
