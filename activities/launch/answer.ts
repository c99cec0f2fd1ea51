import type { Check, Destination } from '../../connectors/contract.ts'
import type { Source } from '../../connectors/source-contract.ts'
import { ConnectorError } from '../../connectors/errors.ts'
import type { SyncConfiguration } from '../../state/configuration.ts'
import { answerInspection as store, inspectionInput } from '../../state/inspections.ts'
import { getResource } from '../../state/resources.ts'
import type { Connections, Endpoint } from '../connections.ts'
import type { Deps } from '../deps.ts'
import { withAdvice } from '../failure.ts'
import { defineRun } from '../prepare/define.ts'
import type { Problem } from '../prepare/validate.ts'
import { previewSync } from '../plan/preview.ts'
import type { InspectRequest } from './inspect-request.ts'

export interface SyncProblem {
  readonly level: 'error' | 'warning'
  readonly sync: string
  readonly pointer: string
  readonly message: string
}

/** Answers one request of the API into the state database. Repeatable. */
export async function answerInspection(
  deps: Deps,
  { id, request }: { id: string; request: InspectRequest },
  signal: AbortSignal,
): Promise<void> {
  await store(deps.db, id, await answer(deps, id, request, signal))
}

async function answer(deps: Deps, id: string, request: InspectRequest, signal: AbortSignal): Promise<unknown> {
  switch (request.kind) {
    case 'source-check':
      return check(async () => (await deps.connections.source(await endpoint(deps, 'Source', request.name))).source, signal)
    case 'destination-check':
      return check(async () => (await deps.connections.destination(await endpoint(deps, 'Destination', request.name))).destination, signal)
    case 'preview':
      return orAdvice<unknown>(
        () => previewSync(deps, request.sync, request.limit, signal),
        (problem) => ({ problem }),
      )
    case 'sync-check':
      return checkSyncs(deps.connections, (await inspectionInput(deps.db, id)) as Record<string, SyncConfiguration>, signal)
  }
}

/** What the work gives, or what `refused` makes of a connector's error and its advice. */
async function orAdvice<T>(work: () => Promise<T>, refused: (advice: string) => T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error
    return refused(withAdvice(error))
  }
}

function check(open: () => Promise<Source | Destination>, signal: AbortSignal): Promise<Check> {
  return orAdvice(
    async () => (await open()).check(signal),
    (detail) => ({ ok: false, detail }),
  )
}

async function checkSyncs(connections: Connections, syncs: Record<string, SyncConfiguration>, signal: AbortSignal): Promise<SyncProblem[]> {
  const problems: SyncProblem[] = []
  for (const [sync, configuration] of Object.entries(syncs)) {
    const found = await orAdvice<{ problems: Problem[]; warnings: Problem[] }>(
      () => defineRun(connections, sync, configuration, signal),
      (message) => ({ problems: [{ pointer: '', message }], warnings: [] }),
    )
    problems.push(...found.problems.map((problem) => ({ level: 'error' as const, sync, ...problem })))
    problems.push(...found.warnings.map((warning) => ({ level: 'warning' as const, sync, ...warning })))
  }
  return problems
}

async function endpoint(deps: Deps, kind: 'Source' | 'Destination', name: string): Promise<Endpoint> {
  const spec = (await getResource(deps.db, kind, name))?.spec
  if (!spec || !('connector' in spec)) throw new ConnectorError('config', `there is no ${kind.toLowerCase()} ${name}`)
  return { name, ...spec }
}
